package zoho

import (
	"net/url"
	"strings"
)

// Centre is one of Zoho's data centres: a row of the fixed table. Its hosts are compared byte for byte with what
// a browser or a token answer claims, and the row's Location is what is stored, never a URL.
type Centre struct {
	Location string // "us", "eu", …: the location parameter of Zoho's callback
	Name     string // for people
	Accounts string // base URL of the accounts host
	API      string // base URL of the API host: api_domain in token answers
	CRM      string // base URL of the pages that people see
}

// Centres is a table of data centres.
type Centres []Centre

// Production is Zoho's own table (Zoho's docs, "Multi DC support"; hosts as in Zoho's Node SDK for API 8.0, uk and
// ae from "Client authorization" and WorkDrive's multi DC page). Canada is the odd one: its accounts host belongs
// to another domain family than its API host.
func Production() Centres {
	return Centres{
		{"us", "United States", "https://accounts.zoho.com", "https://www.zohoapis.com", "https://crm.zoho.com"},
		{"eu", "Europe", "https://accounts.zoho.eu", "https://www.zohoapis.eu", "https://crm.zoho.eu"},
		{"in", "India", "https://accounts.zoho.in", "https://www.zohoapis.in", "https://crm.zoho.in"},
		{"au", "Australia", "https://accounts.zoho.com.au", "https://www.zohoapis.com.au", "https://crm.zoho.com.au"},
		{"jp", "Japan", "https://accounts.zoho.jp", "https://www.zohoapis.jp", "https://crm.zoho.jp"},
		{"cn", "China", "https://accounts.zoho.com.cn", "https://www.zohoapis.com.cn", "https://crm.zoho.com.cn"},
		{"ca", "Canada", "https://accounts.zohocloud.ca", "https://www.zohoapis.ca", "https://crm.zohocloud.ca"},
		{"sa", "Saudi Arabia", "https://accounts.zoho.sa", "https://www.zohoapis.sa", "https://crm.zoho.sa"},
		{"uk", "United Kingdom", "https://accounts.zoho.uk", "https://www.zohoapis.uk", "https://crm.zoho.uk"},
		{"ae", "United Arab Emirates", "https://accounts.zoho.ae", "https://www.zohoapis.ae", "https://crm.zoho.ae"},
	}
}

// SandboxCentres is the table that stands in for Production's where the Zoho sandbox is in use: base itself is
// the us centre, base/eu, base/in and so on are the others, each both accounts and API host.
func SandboxCentres(base string) Centres {
	base = strings.TrimRight(base, "/")
	var rows Centres
	for _, c := range Production() {
		host := base
		if c.Location != "us" {
			host += "/" + c.Location
		}
		rows = append(rows, Centre{c.Location, c.Name + " (sandbox)", host, host, base})
	}
	return rows
}

// ByLocation finds the row of a location; the comparison is exact.
func (cs Centres) ByLocation(location string) (Centre, bool) {
	for _, c := range cs {
		if c.Location == location && location != "" {
			return c, true
		}
	}
	return Centre{}, false
}

// Start is the centre at which a consent begins: Zoho moves the person on to theirs.
func (cs Centres) Start() Centre { return cs[0] }

// origins are scheme and host of every row: what a client may dial.
func (cs Centres) origins() map[string]bool {
	set := make(map[string]bool, 2*len(cs))
	for _, c := range cs {
		for _, base := range []string{c.Accounts, c.API} {
			if u, err := url.Parse(base); err == nil {
				set[u.Scheme+"://"+u.Host] = true
			}
		}
	}
	return set
}
