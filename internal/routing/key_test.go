package routing

import "testing"

func TestRulesAndListsAreNamedByWhatAnAddressCanHold(t *testing.T) {
	for id, fine := range map[string]bool{"night-calls_2": true, "": false, "a/b": false, "a b": false, "a?b": false, "é": false, "..": false} {
		set := DefaultSet()
		set.Rules[0].ID = id
		if len(set.Check()) == 0 != fine {
			t.Errorf("the rule %q: %v", id, set.Check())
		}
		set = DefaultSet()
		set.Phrases = append(set.Phrases, PhraseList{Name: id, Label: "more words", Phrases: []string{"more"}})
		if len(set.Check()) == 0 != fine {
			t.Errorf("the list %q: %v", id, set.Check())
		}
	}
}
