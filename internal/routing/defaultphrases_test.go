package routing

import (
	"reflect"
	"testing"
)

func TestSetsShareTheDefaultPhrasesAndStayWhatTheyAre(t *testing.T) {
	set := DefaultSet()
	set.Phrases[1].Phrases = append(set.Phrases[1].Phrases, "before lunch")
	shared := set.Sharing()
	if !reflect.DeepEqual(set, shared) {
		t.Error("sharing changes the set")
	}
	for i, l := range shared.Phrases {
		if shares := &l.Phrases[0] == &defaultPhrases[i].Phrases[0]; shares != (i != 1) {
			t.Errorf("%s: shared %v", l.Name, shares)
		}
	}
	if &set.Phrases[0].Phrases[0] == &defaultPhrases[0].Phrases[0] {
		t.Error("a set that may be changed holds the default texts themselves")
	}
}
