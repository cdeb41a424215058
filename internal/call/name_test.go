package call

import "testing"

func TestSplitName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ rule, full, first, last, company string }{
		{"split on the last space", "Sarah Jane Johnson", "Sarah Jane", "Johnson", ""},
		{"a single word is the last name", "Cher", "", "Cher", ""},
		{"Last, First is turned round", "Johnson, Sarah", "Sarah", "Johnson", ""},
		{"a suffix behind a comma is dropped", "Sam Smith, Jr.", "Sam", "Smith", ""},
		{"a suffix is dropped", "Sam Smith III", "Sam", "Smith", ""},
		{"a suffix in Last, First", "Smith, Sam Jr", "Sam", "Smith", ""},
		{"a company is one", "Bluebird Roofing LLC", "", "", "Bluebird Roofing LLC"},
		{"a company with a comma is one", "Acme, Inc.", "", "", "Acme, Inc."},
		{"spaces are one", "  Ana \t Costa ", "Ana", "Costa", ""},
		{"right to left", "סארה כהן", "סארה", "כהן", ""},
		{"emoji are kept", "🚀 Rocket", "🚀", "Rocket", ""},
		{"a number is no name", "+1 415 555 0123", "", "", ""},
		{"a caller id phrase is no name", "WIRELESS CALLER", "", "", ""},
		{"empty", "", "", "", ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			first, last, company := SplitName(tc.full)
			if first != tc.first || last != tc.last || company != tc.company {
				t.Errorf("SplitName(%q) = %q, %q, %q; want %q, %q, %q", tc.full, first, last, company, tc.first, tc.last, tc.company)
			}
		})
	}
}

func FuzzSplitName(f *testing.F) {
	f.Add("Johnson, Sarah")
	f.Add(", ,")
	f.Add("Jr.")
	f.Fuzz(func(t *testing.T, full string) { SplitName(full) })
}
