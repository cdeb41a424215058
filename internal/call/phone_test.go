package call

import (
	"slices"
	"testing"
)

func TestReadPhone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, text, region string
		want               Phone
		withheld           bool
	}{
		{"E.164 stays", "+14155550123", "US", "+14155550123", false},
		{"E.164 needs no region", "+14155550123", "", "+14155550123", false},
		{"national is completed by the region", "(415) 555-0123", "US", "+14155550123", false},
		{"dots and a trunk 1", "1.415.555.0123", "US", "+14155550123", false},
		{"00 is +", "0044 20 7946 0958", "DE", "+442079460958", false},
		{"011 is + in North America", "011 44 20 7946 0958", "US", "+442079460958", false},
		{"a trunk zero is dropped", "020 7946 0958", "GB", "+442079460958", false},
		{"a trunk zero in brackets is dropped", "+44 (0)20 7946 0958", "US", "+442079460958", false},
		{"Italian zeros stay", "+39 06 6982", "IT", "+39066982", false},
		{"tel: is dropped", "tel:+1-415-555-0123", "US", "+14155550123", false},
		{"an extension behind a number is dropped", "+1 415 555 0123 ext. 55", "US", "+14155550123", false},
		{"direction marks are dropped", "\u202a+1 415 555 0123\u202c", "US", "+14155550123", false},
		{"Arabic digits", "+١٤١٥٥٥٥٠١٢٣", "US", "+14155550123", false},
		{"reserved for fiction, still a number", "+15551234567", "US", "+15551234567", false},
		{"international digits that lost their +", "447911123456", "US", "+447911123456", false},
		{"empty is withheld", "", "US", "", true},
		{"a word is withheld", "Anonymous", "US", "", true},
		{"keypad spelling of ANONYMOUS", "+266696687", "US", "", true},
		{"keypad spelling of RESTRICTED", "+7378742833", "US", "", true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p, withheld, problem := ReadPhone(tc.text, tc.region)
			if p != tc.want || withheld != tc.withheld || problem != "" {
				t.Errorf("ReadPhone(%q, %q) = %q, %v, %q; want %q, %v", tc.text, tc.region, p, withheld, problem, tc.want, tc.withheld)
			}
			if got := p.Usable(); got != !tc.withheld {
				t.Errorf("Usable() = %v", got)
			}
		})
	}
}

func TestNumberThatCannotBeCalledIsKeptAsDialled(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"911", "1234", "12-34", "sip:bob@example.com", "client:agent", "' OR 1=1--", "+1234567890", "0014155552671x",
		"+10000000000", "call me", "☎️", "99999999999999999999999"} {
		p, withheld, problem := ReadPhone(text, "US")
		if withheld || problem == "" || p.Usable() || p.National() != "" || p.Spellings() != nil {
			t.Errorf("ReadPhone(%q) = %q, %v, %q, usable %v", text, p, withheld, problem, p.Usable())
		}
	}
}

func TestUsualSpellingsAreFoundAndAreTheSameNumber(t *testing.T) {
	t.Parallel()
	us := Phone("+14155550123")
	for _, want := range []string{"+14155550123", "14155550123", "4155550123", "(415) 555-0123", "415-555-0123", "415.555.0123", "+1 415-555-0123", "0014155550123"} {
		if !slices.Contains(us.Spellings(), want) {
			t.Errorf("spelling %q is missing from %q", want, us.Spellings())
		}
	}
	for phone, region := range map[Phone]string{us: "US", "+442079460958": "GB", "+4930123456": "DE", "+5215512345678": "MX", "+919876543210": "IN"} {
		for _, s := range phone.Spellings() {
			if !SamePhone(s, region, phone) {
				got, _, problem := ReadPhone(s, region)
				t.Errorf("%q is a spelling of %s, but reads as %q %s", s, phone, got, problem)
			}
		}
	}
	if SamePhone("415 555 0124", "US", us) || SamePhone("", "US", us) || SamePhone("5550123", "US", us) || SamePhone("anonymous", "US", "") {
		t.Error("another number was taken for the same")
	}
	if us.National() != "4155550123" || us.Country() != "US" || us.Display("US") != "(415) 555-0123" {
		t.Errorf("national %q, country %q, display %q", us.National(), us.Country(), us.Display("US"))
	}
}

func TestPhoneIsMaskedInLogs(t *testing.T) {
	t.Parallel()
	if got := Phone("+14155550123").LogValue().String(); got != "…23" {
		t.Errorf("logged as %q", got)
	}
	if got := Phone("sip:bob@example.com").LogValue().String(); got != "…" {
		t.Errorf("logged as %q", got)
	}
}

func FuzzPhoneReadTwiceIsUnchanged(f *testing.F) {
	for _, s := range []string{"+14155550123", "(415) 555-0123", "anonymous", "911", "tel:00442079460958", "+39 06 6982", "\u202a1 x2", "+44 (0)20 7946 0958", "１２３", "' OR 1=1--", "tel\xec:0", "tel: tel:0", "+8400000000000", "20100000000000", "+9800000"} {
		f.Add(s, "US")
		f.Add(s, "DE")
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		once, withheld, problem := ReadPhone(text, region)
		twice, withheldTwice, problemTwice := ReadPhone(string(once), region)
		if once != twice || withheld != withheldTwice || (problem == "") != (problemTwice == "") {
			t.Errorf("ReadPhone(%q, %q) = %q %v %q, read again %q %v %q", text, region, once, withheld, problem, twice, withheldTwice, problemTwice)
		}
		if usable := once.Usable(); usable != (problem == "" && !withheld) {
			t.Errorf("%q: usable %v, problem %q", once, usable, problem)
		}
	})
}

func TestShortCutForNorthAmericaAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"+14155550123", "+12000000000", "+19999999999", "+15551234567", "+18005550123", "+12421234567"} {
		if _, ok := parsePhone(s, ""); !ok || !isNorthAmerican(s) {
			t.Errorf("%s: the library says %v", s, ok)
		}
	}
	for _, s := range []string{"+11234567890", "+1415555012", "+141555501234", "+1415555012x", "+0415555012"} {
		if isNorthAmerican(s) {
			t.Errorf("%s was taken", s)
		}
	}
}
