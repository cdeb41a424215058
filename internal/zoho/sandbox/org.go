package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // organisations live in zones that the machine may not know
)

// centre is one of Zoho's data centres, with what an organisation there looks like when nobody says otherwise.
type centre struct {
	Key, Label, Zone, Country, CountryCode, Currency, ISO, Symbol, Locale string
}

// The keys are the `location` values of Zoho's callback (Multi DC support).
var centres = []centre{
	{"us", "United States", "America/New_York", "United States", "US", "US Dollar - USD", "USD", "$", "en_US"},
	{"eu", "Europe", "Europe/Berlin", "Germany", "DE", "Euro - EUR", "EUR", "€", "de_DE"},
	{"in", "India", "Asia/Kolkata", "India", "IN", "Indian Rupee - INR", "INR", "₹", "en_IN"},
	{"au", "Australia", "Australia/Sydney", "Australia", "AU", "Australian Dollar - AUD", "AUD", "$", "en_AU"},
	{"jp", "Japan", "Asia/Tokyo", "Japan", "JP", "Japanese Yen - JPY", "JPY", "¥", "ja_JP"},
	{"cn", "China", "Asia/Shanghai", "China", "CN", "Chinese Yuan - CNY", "CNY", "¥", "zh_CN"},
	{"ca", "Canada", "America/Toronto", "Canada", "CA", "Canadian Dollar - CAD", "CAD", "$", "en_CA"},
	{"sa", "Saudi Arabia", "Asia/Riyadh", "Saudi Arabia", "SA", "Saudi Riyal - SAR", "SAR", "SAR", "ar_SA"},
	{"uk", "United Kingdom", "Europe/London", "United Kingdom", "GB", "British Pound - GBP", "GBP", "£", "en_GB"},
	{"ae", "United Arab Emirates", "Asia/Dubai", "United Arab Emirates", "AE", "UAE Dirham - AED", "AED", "AED", "ar_AE"},
}

func centreByKey(key string) *centre {
	for i := range centres {
		if centres[i].Key == key {
			return &centres[i]
		}
	}
	return nil
}

// user is a person of an organisation.
type user struct {
	ID, ZUID    string
	First, Last string
	Email       string
	Profile     string // one of profiles
	Role        string
	Inactive    bool
}

func (u *user) name() string { return u.First + " " + u.Last }

// profiles are what users may do. The last may look and not write, which is how NO_PERMISSION is met without a switch.
var profiles = []string{"Administrator", "Standard", "Read Only"}

// org is one organisation. The sandbox's lock guards it.
type org struct {
	ID         string
	Name       string
	Domain     string
	Edition    string
	Centre     string
	Country    string
	Zone       string
	Created    time.Time
	Users      []user
	NextID     uint64
	Prefix     string // leading digits of each record id of this organisation
	Settings   settings
	PickExtras map[string]map[string][]string // module, field: picklist values that API writes have added
	Custom     map[string][]customField       // module: fields that an administrator made
	Channels   []channel                      `json:",omitempty"` // who is to be told of changes
	Tags       map[string]map[string]string   `json:",omitempty"` // module, name in lower case: the tag's id

	zone    *time.Location
	schemas map[string]*schema // module: its fields as they stand; worked out anew when metadata changes
	tables  map[string]*table
	byID    map[string]*entry
	usage   usage
}

// newOrg is what the consent page and the grant route ask for.
type newOrg struct {
	Name     string `json:"name"`
	Edition  string `json:"edition"`
	Centre   string `json:"data_centre"`
	TimeZone string `json:"time_zone"`
	Country  string `json:"country_code"`
}

// check answers what is wrong with n, in words for a person.
func (n newOrg) check() string {
	switch {
	case n.Edition != "" && editionByKey(n.Edition) == nil:
		return "Unknown edition: " + n.Edition
	case n.Centre != "" && centreByKey(n.Centre) == nil:
		return "Unknown data centre: " + n.Centre
	case len([]rune(n.Name)) > 100:
		return "A company name has at most 100 characters."
	}
	if n.TimeZone != "" {
		if _, err := time.LoadLocation(n.TimeZone); err != nil {
			return "Unknown time zone: " + n.TimeZone
		}
	}
	return ""
}

// addOrg makes an organisation with three users and no records. n has been checked. The caller holds the lock or is alone.
func (s *Sandbox) addOrg(n newOrg) *org {
	if n.Edition == "" {
		n.Edition = s.edition
	}
	if n.Centre == "" {
		n.Centre = s.centre
	}
	c := centreByKey(n.Centre)
	if strings.TrimSpace(n.Name) == "" {
		n.Name = "Organisation " + strconv.Itoa(len(s.orgs)+1)
	}
	if n.TimeZone == "" {
		n.TimeZone = c.Zone
	}
	if n.Country == "" {
		n.Country = c.CountryCode
	}
	// Ids are strings of 19 digits, past what a float holds, and tell organisations apart.
	prefix := strconv.Itoa(5725767 + len(s.orgs))
	o := &org{
		Name: n.Name, Domain: "org" + prefix + "01", Edition: n.Edition, Centre: n.Centre, Country: n.Country, Zone: n.TimeZone,
		Created: s.now().UTC(), Prefix: prefix, Settings: s.defaults.clone(),
	}
	o.ID = o.id(1)
	for i, p := range []struct{ first, last, profile, role string }{
		{"Alex", "Morgan", profiles[0], "CEO"},
		{"Priya", "Nair", profiles[1], "Manager"},
		{"Sam", "Okafor", profiles[2], "Manager"},
	} {
		o.Users = append(o.Users, user{
			ID: o.id(uint64(101 + i)), ZUID: strconv.Itoa(60000000 + 1000*len(s.orgs) + i), First: p.first, Last: p.last,
			Email: strings.ToLower(p.first+"."+p.last) + "@" + o.Domain + ".example", Profile: p.profile, Role: p.role,
		})
	}
	s.adopt(o)
	s.journal.org(o)
	return o
}

// adopt puts an organisation, new or read from the journal, among the others.
func (s *Sandbox) adopt(o *org) {
	zone, err := time.LoadLocation(o.Zone)
	if err != nil {
		zone = time.UTC
	}
	o.zone = zone
	o.schemas = map[string]*schema{}
	o.tables = map[string]*table{}
	o.byID = map[string]*entry{}
	o.NextID = max(o.NextID, firstRecordID)
	if o.PickExtras == nil {
		o.PickExtras = map[string]map[string][]string{}
	}
	if o.Custom == nil {
		o.Custom = map[string][]customField{}
	}
	for _, m := range modules {
		o.tables[m.API] = newTable(m.API)
	}
	o.rebuild()
	s.orgs = append(s.orgs, o)
	s.orgByID[o.ID] = o
}

// firstRecordID leaves room below it for the ids of users, fields, layouts and the like.
const firstRecordID = 524000

func (o *org) id(n uint64) string { return fmt.Sprintf("%s%012d", o.Prefix, n) }

func (o *org) newID() string {
	o.NextID++
	return o.id(o.NextID)
}

func (o *org) user(id string) *user {
	for i := range o.Users {
		if o.Users[i].ID == id {
			return &o.Users[i]
		}
	}
	return nil
}

// changed journals the organisation and works out anew what follows from its metadata.
func (s *Sandbox) changed(o *org) {
	o.rebuild()
	s.journal.org(o)
}

// edition is what a licence allows: credits in a rolling day, calls at once (API limits; concurrency from Kaizen 203).
type edition struct {
	Key, Label  string
	Credits     int
	Concurrency int
	Users       int

	CustomFields int // a module; how many is (mem)
}

var editions = []edition{
	{"free", "Free", 5000, 5, 3, 0},
	{"standard", "Standard", 50000 + 5*250, 10, 5, 10},
	{"professional", "Professional", 50000 + 5*500, 15, 5, 155},
	{"enterprise", "Enterprise", 50000 + 5*1000, 20, 5, 300},
	{"zohooneenterprise", "Zoho One", 50000 + 5*1000, 20, 5, 300},
	{"ultimate", "Ultimate", 50000 + 5*2000, 25, 5, 500},
	{"crmplus", "CRM Plus", 50000 + 5*2000, 25, 5, 500},
}

func editionByKey(key string) *edition {
	for i := range editions {
		if editions[i].Key == key {
			return &editions[i]
		}
	}
	return nil
}
