package intake

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"hookline/internal/call"
)

// Preset is a simulated call that shows one thing Hookline does.
type Preset struct {
	Name   string
	Label  string
	About  string // what to look for
	Needs  string // the record that must be in the CRM for it; empty when none
	person *staged
	make   func(c *call.Call)
}

// staged is the person, and the Deal, that a preset speaks of.
type staged struct {
	first, last, email, company string
	phone                       call.Phone
	deal                        string
}

// Presets are all simulated calls, in the order to offer them.
func Presets() []Preset { return presets }

// PresetOf finds a preset.
func PresetOf(name string) (Preset, bool) {
	for _, p := range presets {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Numbers with the exchange 555 belong to nobody.
const businessNumber = call.Phone("+14155550100")

var (
	maria = &staged{first: "Maria", last: "Lopez", email: "maria@harbordental.example", company: "Harbor Dental", phone: "+14155550111"}
	sarah = &staged{first: "Sarah", last: "Johnson", email: "sarah@abc.example", company: "ABC Corp", phone: "+14155550122"}
	devon = &staged{first: "Devon", last: "Clark", email: "devon@peaklegal.example", company: "Peak Legal", phone: "+14155550133", deal: "Peak Legal - Enterprise plan"}
)

var presets = []Preset{
	{
		Name: "new-caller", Label: "New caller", About: "Somebody who is not in the CRM yet: becomes a Lead with the call on it.",
		make: func(c *call.Call) {
			c.FirstName, c.LastName, c.Company = newcomer(c.From)
			c.Email = "office@" + string(c.From[1:]) + ".example"
			c.Summary = "New inquiry: needs the office network set up for 12 people."
			c.Answers = map[string]any{"interest": "Network setup", "team_size": "12"}
			talk(c, "Thanks for calling. How can I help?", "Hi, this is "+c.FirstName+" "+c.LastName+" from "+c.Company+". We are moving and need our network set up.",
				"How many people are you?", "Twelve. Could somebody look at it this month?")
		},
	},
	{
		Name: "known-contact", Label: "Known Contact", About: "A Contact with a question: the call is logged on the Contact.",
		Needs: "a Contact with the phone +1 415 555 0111 and no open Deal", person: maria,
		make: func(c *call.Call) {
			c.Summary = "Asks when the technician will arrive on Thursday."
			talk(c, "Thanks for calling. How can I help?", "Hi, Maria Lopez. When is your technician coming on Thursday?", "Between nine and eleven.", "Perfect, thank you.")
		},
	},
	{
		Name: "buyer", Label: "Contact who wants to buy", About: "A Contact who asks for a price: a Deal linked to the Contact, with the call on it.",
		Needs: "a Contact with the phone +1 415 555 0122 and no Deal of the last 30 days", person: sarah,
		make: func(c *call.Call) {
			c.Summary = "Wants pricing for 50 Enterprise seats, budget $50K, start in Q1."
			c.Intent = "pricing"
			c.Answers = map[string]any{"interest": "Enterprise plan", "product_interest": "Enterprise plan", "budget": "50000", "estimated_deal_value": "50000",
				"timeline": "Q1", "estimated_close_date": c.StartedAt.AddDate(0, 1, 0).Format(time.DateOnly)}
			talk(c, "Thanks for calling. How can I help?", "What's the pricing for 50 users?", "Which plan are you looking at?", "Enterprise. Our budget is $50K and we want to start in Q1.")
		},
	},
	{
		Name: "open-deal", Label: "Contact with an open Deal", About: "Ready to move forward: the call is logged on the open Deal, and its stage may move.",
		Needs: "a Contact with the phone +1 415 555 0133 and an open Deal", person: devon,
		make: func(c *call.Call) {
			c.Summary = "Has read the proposal and is ready to move forward."
			talk(c, "Thanks for calling. How can I help?", "Devon Clark here. We read the proposal and we are ready to move forward.", "Wonderful. I will tell your account manager.", "Great, send us the paperwork.")
		},
	},
	{
		Name: "callback", Label: "Asks to be called back", About: "A new caller who wants to be called back tomorrow at two.",
		make: func(c *call.Call) {
			c.FirstName, c.LastName, c.Company = newcomer(c.From)
			c.Summary = "Wants to be called back tomorrow at 2 PM."
			c.Intent = "callback_request"
			talk(c, "Thanks for calling. How can I help?", "Can someone call me back tomorrow at 2 PM?", "Of course. What is it about?", "My invoice from May.")
		},
	},
	{
		Name: "emergency", Label: "Emergency", About: "Water is running: a new caller whose words call for somebody at once.",
		make: func(c *call.Call) {
			c.FirstName, c.LastName, c.Company = newcomer(c.From)
			c.Summary = "Emergency: a pipe burst and the basement is flooding."
			c.Intent = "emergency"
			talk(c, "Thanks for calling. How can I help?", "This is an emergency, a pipe burst and the basement is flooding!", "I am getting somebody for you.", "Please hurry.")
		},
	},
	{
		Name: "spam", Label: "Spam", About: "A robocall about a warranty: kept and shown, but nothing is written to Zoho.",
		make: func(c *call.Call) {
			c.Summary = "Recorded sales message about an extended warranty."
			c.Intent = "spam"
			c.Duration = 9 * time.Second
			talk(c, "Thanks for calling. How can I help?", "We have been trying to reach you about your car's extended warranty. Press one to speak with an agent.")
		},
	},
	{
		Name: "withheld", Label: "Hidden number", About: "The caller hides the number: kept and shown, but nothing is written to Zoho.",
		make: func(c *call.Call) {
			c.From, c.Withheld = "", true
			c.Summary = "Asked for the opening hours and hung up."
			c.Duration = 21 * time.Second
			talk(c, "Thanks for calling. How can I help?", "What are your opening hours?", "Monday to Friday, nine to five.")
		},
	},
}

// Call makes a call of the preset that ended just before now, with an id of its own.
func (p Preset) Call(now time.Time) call.Call {
	c := call.Call{
		ProviderCallID: "sim_" + uuid.NewString(), Direction: call.Inbound, Status: call.Completed, To: businessNumber,
		Duration: 74 * time.Second, StartedAt: now.Add(-75 * time.Second).UTC().Truncate(time.Second),
	}
	if p.person != nil {
		c.From, c.FirstName, c.LastName, c.Company, c.Email = p.person.phone, p.person.first, p.person.last, p.person.company, p.person.email
	} else {
		c.From = freshNumber()
	}
	p.make(&c)
	return c
}

// Deal is the name of the open Deal that the preset's person has; empty when there is none.
func (p Preset) Deal() string {
	if p.person == nil {
		return ""
	}
	return p.person.deal
}

// Known reports whether the preset's caller is a Contact.
func (p Preset) Known() bool { return p.person != nil }

func talk(c *call.Call, lines ...string) {
	for i, line := range lines {
		role := call.Agent
		if i%2 == 1 {
			role = call.Caller
		}
		c.Transcript = append(c.Transcript, call.Turn{Role: role, Text: line, At: time.Duration(i*6) * time.Second})
	}
}

// areaCodes with the exchange 555 make numbers that read as real and ring nowhere.
var areaCodes = [...]int{
	201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254,
	256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330,
	334, 336, 337, 339, 347, 351, 352, 360, 361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 417, 419, 423, 425, 430, 432, 434, 435,
	440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507, 508, 509, 510, 512, 513, 515, 516, 517, 518, 520, 530, 540, 541, 551, 559, 561, 562,
	563, 567, 570, 571, 573, 574, 580, 585, 586, 601, 602, 603, 605, 606, 607, 608, 609, 610, 612, 614, 615, 616, 617, 618, 619, 620, 623, 626, 630, 631,
	636, 641, 646, 650, 651, 660, 661, 662, 678, 682, 701, 702, 703, 704, 706, 707, 708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 727, 731, 732,
}

// counter goes through the numbers from a random start, so that one run never meets the same caller twice.
var counter = func() *atomic.Uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	var c atomic.Uint64
	c.Store(binary.LittleEndian.Uint64(b[:]) >> 1)
	return &c
}()

func freshNumber() call.Phone {
	// A step that shares no factor with the count visits every number before one comes again.
	const lines = 10_000
	n := counter.Add(1) % (uint64(len(areaCodes)) * lines) * 7_919 % (uint64(len(areaCodes)) * lines)
	return call.Phone(fmt.Sprintf("+1%03d555%04d", areaCodes[n/lines], n%lines))
}

var (
	firstNames = [...]string{"Priya", "Miguel", "Ana", "Wei", "Olu", "Fatima", "Dmitri", "Chloe", "Tariq", "Ingrid", "Noah", "Yuki"}
	lastNames  = [...]string{"Nair", "Alvarez", "Costa", "Zhang", "Adeyemi", "Hassan", "Petrov", "Martin", "Khan", "Larsen", "Weber", "Sato"}
	companies  = [...]string{"Bluebird Roofing", "Northside HVAC", "Sunrise Bakery", "Metro Plumbing Co", "Lakeview Clinic", "Oak Street Books", "Delta Freight"}
)

func newcomer(p call.Phone) (first, last, company string) {
	var n int
	for _, d := range string(p) {
		n = n*7 + int(d)
	}
	n &= 1<<30 - 1
	return firstNames[n%len(firstNames)], lastNames[n/12%len(lastNames)], companies[n/144%len(companies)]
}
