package mapping

import "slices"

// HelperInfo describes a helper to people who do not write templates.
type HelperInfo struct {
	Name  string // as a template names it
	Label string // "Title Case"
	Group string // one of HelperGroups
	About string // what it does, with an example
	Args  []ArgInfo
}

// ArgInfo is one argument of a helper.
type ArgInfo struct {
	Label    string
	Kind     ArgKind
	Default  string   // what the form begins with
	Choices  []string // the values there are; empty: any
	Optional bool
	Repeats  bool // may be given again, for any number of values
}

// ArgKind says what an argument takes.
type ArgKind string

const (
	TakesText   ArgKind = "text"
	TakesNumber ArgKind = "number"
	TakesAny    ArgKind = "value" // a text or a variable
	TakesPairs  ArgKind = "pairs" // see Choices
)

// HelperGroups are the groups of helpers in the order the editor lists them.
var HelperGroups = []string{whenEmpty, ofNames, ofTexts, ofNumbers, ofDates, ofLists}

const (
	whenEmpty = "When it is empty"
	ofNames   = "Names and phone numbers"
	ofTexts   = "Text"
	ofNumbers = "Numbers and money"
	ofDates   = "Dates"
	ofLists   = "Lists and choices"
)

var helpers = []HelperInfo{
	{"default", "Otherwise use", whenEmpty, "The value, or this one when there is none: no company becomes “Not provided”.",
		[]ArgInfo{{Label: "Use instead", Kind: TakesAny, Default: "Not provided", Repeats: true}}},
	{"or_in_days", "Otherwise a day from now", whenEmpty, "The date, or when there is none the day so many days after the call.",
		[]ArgInfo{{Label: "Days", Kind: TakesNumber, Default: "30"}}},
	{"first_name", "First name", ofNames, "The first name of a full one: Sarah Johnson becomes Sarah.", nil},
	{"last_name", "Last name", ofNames, "The last name of a full one: Sarah Johnson becomes Johnson.", nil},
	{"split_name", "Part of a name", ofNames, "The first name, last name or company in a full name.",
		[]ArgInfo{{Label: "Part", Kind: TakesText, Default: "last", Choices: []string{"first", "last", "company"}}}},
	{"phone", "Phone number as", ofNames, "A phone number in another spelling: +14155550123, +1 415-555-0123 or (415) 555-0123.",
		[]ArgInfo{{Label: "Spelling", Kind: TakesText, Default: "international", Choices: []string{"e164", "international", "national"}, Optional: true}}},
	{"title", "Title Case", ofTexts, "Every word begins with a capital: abc plumbing becomes Abc Plumbing.", nil},
	{"capitalize", "First letter a capital", ofTexts, "Only the first letter becomes a capital: new caller becomes New caller.", nil},
	{"upcase", "CAPITALS", ofTexts, "All letters become capitals.", nil},
	{"downcase", "Small letters", ofTexts, "All letters become small.", nil},
	{"truncate", "Shorten", ofTexts, "At most so many characters; a longer text ends in ….",
		[]ArgInfo{{Label: "Characters", Kind: TakesNumber, Default: "80"}}},
	{"replace", "Replace words", ofTexts, "Every place where one text stands gets another.",
		[]ArgInfo{{Label: "Replace", Kind: TakesText}, {Label: "By", Kind: TakesText}}},
	{"trim", "Without space around it", ofTexts, "Spaces and line breaks before and after it go.", nil},
	{"digits", "Digits only", ofNumbers, "Everything but digits goes: Order 12-34 becomes 1234.", nil},
	{"number", "The number in it", ofNumbers, "The number in a text: about 50 seats becomes 50.", nil},
	{"money", "Sum of money", ofNumbers, "A sum as people say it, as a number: $50K becomes 50000.", nil},
	{"round", "Round", ofNumbers, "A number with so many decimals.",
		[]ArgInfo{{Label: "Decimals", Kind: TakesNumber, Default: "0", Optional: true}}},
	{"times", "Multiply", ofNumbers, "A number so many times: a monthly sum times 12 is a yearly one.",
		[]ArgInfo{{Label: "By", Kind: TakesNumber, Default: "12"}}},
	{"date", "Date written as", ofDates, "A date in a form of your own, such as 4 March 2026. Without a form it is a plain date.",
		[]ArgInfo{{Label: "Form", Kind: TakesText, Default: "D MMMM YYYY", Choices: nil, Optional: true}, {Label: "Time zone", Kind: TakesText, Optional: true}}},
	{"add_days", "Days later", ofDates, "So many days after the date.", []ArgInfo{{Label: "Days", Kind: TakesNumber, Default: "7"}}},
	{"add_business_days", "Business days later", ofDates, "So many days after the date, counting only days on which you are open.",
		[]ArgInfo{{Label: "Business days", Kind: TakesNumber, Default: "3"}}},
	{"duration", "Seconds as mm:ss", ofDates, "245 seconds become 04:05.", nil},
	{"map", "Choose from a list", ofLists, "One value stands for another, pair by pair: “plumber” becomes “Plumbing”.",
		[]ArgInfo{{Label: "Pairs", Kind: TakesPairs, Repeats: true}}},
	{"join", "Join into one text", ofLists, "The entries of a list in one text, with this between them.",
		[]ArgInfo{{Label: "Between them", Kind: TakesText, Default: ", ", Optional: true}}},
}

var helperByName = func() map[string]HelperInfo {
	m := make(map[string]HelperInfo, len(helpers))
	for _, h := range helpers {
		m[h.Name] = h
	}
	return m
}()

// Helpers describes every helper, in the order the editor lists them.
func Helpers() []HelperInfo { return slices.Clone(helpers) }

// Start is the helper as the editor adds it, with what its arguments begin with.
func (i HelperInfo) Start() Helper {
	h := Helper{Name: i.Name}
	for _, a := range i.Args {
		switch {
		case a.Kind == TakesPairs:
			h.Args = append(h.Args, Text(""), Text(""))
		case a.Optional && a.Default == "":
		case a.Kind == TakesNumber:
			h.Args = append(h.Args, Number(a.Default))
		default:
			h.Args = append(h.Args, Text(a.Default))
		}
	}
	return h
}
