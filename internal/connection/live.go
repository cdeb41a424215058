package connection

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Finding is what an organisation answered to a question that Zoho's documents leave open.
type Finding struct {
	Question string
	Assumed  string // what the program is written for
	Found    string
	Differs  bool   // found otherwise than assumed
	Grave    bool   // it differs, and calls would be written wrongly
	Do       string // where it differs, or could not be settled
}

// Asking says how far AskLive may go.
type Asking struct {
	Field         string        // api_name of the field that prevents doubles
	ProvokeLimits bool          // more requests at once than Zoho takes, to see its words
	Patience      time.Duration // how long the search index is waited for
}

// AskLive asks a tenant's real organisation what nobody could find out without one: it writes a few records that no
// workflow hears of, reads them back and deletes them. It gives the records that it could not delete, as "Leads 57…".
func (c *Connections) AskLive(ctx context.Context, t tenant.ID, how Asking) (findings []Finding, left []string, err error) {
	linked, err := c.Get(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	if linked.Status != Connected {
		return nil, nil, fmt.Errorf("the tenant is not connected to Zoho: %s", linked.Reason)
	}
	tag := make([]byte, 4)
	rand.Read(tag) // never fails: the runtime ends the program instead
	l := &live{ctx: ctx, how: how, name: "Hookline check " + hex.EncodeToString(tag)}
	err = c.asOurselves(ctx, t, linked.OrgID, func(api *zoho.API) error {
		l.api = api.Observing(l.see)
		defer l.clear()
		for _, ask := range []func() error{l.leads, l.phones, l.calls, l.unique, l.deal, l.limits} {
			if err := ask(); err != nil {
				return fmt.Errorf("%w (records of this check are called “%s”)", err, l.name)
			}
		}
		return nil
	})
	return l.findings, l.left, err
}

// live is one round of questions.
type live struct {
	ctx  context.Context
	api  *zoho.API
	how  Asking
	name string

	findings []Finding
	made     [][2]string // module, id
	left     []string
	phone    string // as stored on a Lead
	leadID   string // of the Lead that has it

	mu      sync.Mutex
	credits []int
	refused []string // bodies of 429
}

func (l *live) see(e zoho.Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.CreditsLeft >= 0 {
		l.credits = append(l.credits, e.CreditsLeft)
	}
	if body := string(e.ResponseBody); e.Status == 429 && !slices.Contains(l.refused, body) {
		l.refused = append(l.refused, body)
	}
}

func (l *live) find(question, assumed, found string, agrees bool, do string) {
	f := Finding{Question: question, Assumed: assumed, Found: found, Differs: !agrees}
	if !agrees {
		f.Do = do
	}
	l.findings = append(l.findings, f)
}

// must is find for what calls cannot do without.
func (l *live) must(question, assumed, found string, agrees bool, do string) {
	l.find(question, assumed, found, agrees, "Do not go live: "+do+" Tell us.")
	l.findings[len(l.findings)-1].Grave = !agrees
}

// unsettled says that a question could not be put.
func (l *live) unsettled(question, assumed string, e *zoho.Error) {
	l.findings = append(l.findings, Finding{Question: question, Assumed: assumed, Found: "not settled: " + said(e),
		Do: "Settle it by hand: docs/zoho.md says how."})
}

func said(e *zoho.Error) string {
	words := e.Code
	if words == "" {
		words = e.Message
	}
	if e.Field != "" {
		words += " on " + e.Field
	}
	return words
}

// create writes one record. What Zoho refuses is an answer; only what leaves the outcome open, or keeps from asking on,
// is an error.
func (l *live) create(module string, rec zoho.Record) (string, *zoho.Error, error) {
	results, err := l.api.Create(l.ctx, module, []zoho.Record{rec}, zoho.WriteOptions{Trigger: []string{}})
	if e, ok := errors.AsType[*zoho.Error](err); ok && tells(e.Class) {
		return "", e, nil
	}
	if err != nil {
		return "", nil, err
	}
	if e := results[0].Err; e != nil {
		return "", e, nil
	}
	l.made = append(l.made, [2]string{module, results[0].ID})
	return results[0].ID, nil, nil
}

// clear deletes what was made, also when the round was broken off.
func (l *live) clear() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), time.Minute)
	defer cancel()
	for _, m := range slices.Backward(l.made) {
		if err := l.api.Delete(ctx, m[0], m[1]); err != nil {
			l.left = append(l.left, m[0]+" "+m[1])
		}
	}
}

const freshLeads = 5

// leads writes a few Leads and asks COQL for each at once: everything that prevents doubles rests on the answer. One has
// a key that is no field, one a number as people type it.
func (l *live) leads() error {
	const fresh, unknown = "Does COQL see a record at once?", "Are keys that are no field ignored?"
	digits, err := rand.Int(rand.Reader, big.NewInt(100))
	if err != nil {
		return err
	}
	l.phone = fmt.Sprintf("(415) 555-01%02d", digits.Int64())
	seen := 0
	for i := range freshLeads {
		rec := zoho.Record{"Last_Name": fmt.Sprintf("%s %d", l.name, i), "Company": l.name}
		switch i {
		case 0:
			rec["Phone"] = l.phone
		case 1:
			rec["Hookline_Nonsense"] = 1
		}
		id, refused, err := l.create("Leads", rec)
		if err != nil {
			return err
		}
		if refused != nil && i == 1 {
			l.find(unknown, "yes", "refused: "+said(refused), false, "A mapping to a deleted field is refused, not dropped: its calls need attention, nothing is lost. Tell us.")
			continue
		}
		if refused != nil {
			l.unsettled(fresh, "yes", refused)
			l.phone = ""
			return nil
		}
		switch i {
		case 0:
			l.leadID = id
		case 1:
			l.find(unknown, "yes", "yes", true, "")
		}
		found, err := l.api.Find(l.ctx, zoho.Query{Select: []string{"id"}, From: "Leads", Where: zoho.Equal("Last_Name", rec["Last_Name"])})
		if err != nil {
			return err
		}
		if len(found) == 1 && found[0].ID() == id {
			seen++
		}
	}
	l.must(fresh, "yes", fmt.Sprintf("%d of %d", seen, len(l.made)), seen == len(l.made), "a lost answer might be written twice.")
	return nil
}

// phones asks in which spellings a stored number is found.
func (l *live) phones() error {
	if l.phone == "" {
		return nil
	}
	stored, err := l.api.Find(l.ctx, zoho.Query{Select: []string{"id"}, From: "Leads", Where: zoho.And(zoho.In("Phone", l.phone), zoho.Equal("id", l.leadID))})
	if err != nil {
		return err
	}
	l.find("Does COQL find a number as it is stored?", "yes", yesNo(len(stored) == 1), len(stored) == 1, "Callers are found by the search alone, with its lag. Tell us.")

	began := time.Now()
	national := strings.NewReplacer("(", "", ")", "", " ", "", "-", "").Replace(l.phone)
	spellings := []string{l.phone, national, "1" + national, "+1" + national}
	var hits []string
	for round := 0; len(hits) == 0 && (round == 0 || time.Since(began) < l.how.Patience); round++ {
		if round > 0 {
			select {
			case <-time.After(3 * time.Second):
			case <-l.ctx.Done():
				return l.ctx.Err()
			}
		}
		for _, spelling := range spellings {
			records, err := l.api.SearchPhone(l.ctx, "Leads", spelling, []string{"id", "Phone"}, true)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(records, func(r zoho.Record) bool { return r.ID() == l.leadID }) {
				hits = append(hits, spelling)
			}
		}
	}
	const do = "Such a caller is found by COQL alone. Nothing is written twice; tell us which spellings were found."
	const assumed = "by its national digits at least"
	question := "In which spellings does the search find " + l.phone + "?"
	if len(hits) == 0 {
		l.find(question, assumed, fmt.Sprintf("in none within %s", l.how.Patience), false, do)
		return nil
	}
	l.find(question, assumed, fmt.Sprintf("%s, after %s", strings.Join(hits, " | "), time.Since(began).Round(time.Second)), slices.Contains(hits, national), do)
	return nil
}

// calls asks what a Call takes.
func (l *live) calls() error {
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	rec := func(more zoho.Record) zoho.Record {
		r := zoho.Record{"Subject": l.name, "Call_Type": "Inbound", "Call_Start_Time": zoho.Time(began), "Call_Duration": "02:05"}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	const duration = "Is Call_Duration minutes and seconds?"
	id, refused, err := l.create("Calls", rec(nil))
	switch {
	case err != nil:
		return err
	case refused != nil:
		l.unsettled(duration, "02:05 is 125 seconds", refused)
		return nil
	}
	read, found, err := l.api.Get(l.ctx, "Calls", id, []string{"Call_Duration_in_seconds", "Call_Duration", "Call_Start_Time"})
	if err != nil {
		return err
	}
	seconds := read.Text("Call_Duration_in_seconds")
	if !found || seconds == "" {
		seconds = "not told, Call_Duration reads " + read.Text("Call_Duration")
	}
	l.must(duration, "02:05 is 125 seconds", seconds, seconds == "125", "durations in Zoho are off.")
	at, err := time.Parse(time.RFC3339, read.Text("Call_Start_Time"))
	l.must("Does a time keep its instant?", "yes", read.Text("Call_Start_Time"), err == nil && at.Equal(began), "calls stand at the wrong time.")

	for _, q := range []struct {
		question, assumed string
		agrees            bool
		more              zoho.Record
		do                string
	}{
		{"Does a time that ends in Z pass?", "yes, and it is not relied upon", true, zoho.Record{"Call_Start_Time": began.Format("2006-01-02T15:04:05Z")}, "Nothing: an offset is always sent."},
		{"Does a What_Id without $se_module pass?", "no; it is always sent", false, zoho.Record{"What_Id": zoho.Record{"id": l.leadID}}, "Nothing: it is always sent."},
		{"Does a Lead pass as Who_Id?", "no; it goes into What_Id", false, zoho.Record{"Who_Id": zoho.Record{"id": l.leadID}}, "Nothing: a Lead always goes into What_Id."},
	} {
		_, refused, err := l.create("Calls", rec(q.more))
		if err != nil {
			return err
		}
		words := "yes"
		if refused != nil {
			words = "no: " + said(refused)
		}
		l.find(q.question, q.assumed, words, (refused == nil) == q.agrees, q.do)
	}
	return nil
}

// unique asks whether Calls mind a unique field, where the organisation has it.
func (l *live) unique() error {
	const question, assumed = "Does a unique field on Calls refuse a second record, and name the first?", "yes, where there is one"
	fields, err := l.api.Fields(l.ctx, "Calls")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(fields, func(f zoho.Field) bool { return f.APIName == l.how.Field && f.Unique })
	if i < 0 {
		l.findings = append(l.findings, Finding{Question: question, Assumed: assumed, Found: "not asked: there is no unique " + l.how.Field,
			Do: "Add it on the Zoho page, then ask again. Without it more goes to a person when answers are lost."})
		return nil
	}
	rec := zoho.Record{"Subject": l.name, "Call_Type": "Missed", "Call_Start_Time": zoho.Time(time.Now().Add(-time.Hour)), l.how.Field: l.name}
	first, refused, err := l.create("Calls", rec)
	if err != nil || refused != nil {
		if refused != nil {
			l.unsettled(question, assumed, refused)
		}
		return err
	}
	_, refused, err = l.create("Calls", rec)
	if err != nil {
		return err
	}
	found := "no: both were written"
	if refused != nil {
		found = fmt.Sprintf("%s, naming %q", said(refused), refused.DuplicateID)
	}
	l.find(question, assumed, found, refused != nil && refused.Class == zoho.Duplicate && refused.DuplicateID == first,
		"Remove the field from Calls: Hookline then reads back by the record's text. Tell us.")
	return nil
}

// deal asks whether a text passes for an amount.
func (l *live) deal() error {
	const question, assumed = "Is a text for an amount refused?", "yes, so numbers are sent"
	md, err := l.api.Metadata(l.ctx, "Deals")
	if err != nil {
		return err
	}
	rec := zoho.Record{"Deal_Name": l.name, "Closing_Date": time.Now().AddDate(0, 1, 0).Format(time.DateOnly), "Stage": "Qualification", "Amount": "50000"}
	if len(md.Pipelines) > 0 && len(md.Pipelines[0].Stages) > 0 {
		rec["Pipeline"], rec["Stage"] = md.Pipelines[0].Name, md.Pipelines[0].Stages[0].Name
	}
	_, refused, err := l.create("Deals", rec)
	switch {
	case err != nil:
		return err
	case refused != nil && refused.Field != "Amount":
		l.unsettled(question, assumed, refused)
	case refused != nil:
		l.find(question, assumed, "yes: "+said(refused), true, "")
	default:
		l.find(question, assumed, "no: it was taken", false, "Nothing: numbers are always sent.")
	}
	return nil
}

// atOnce is more than any edition takes of COQL at a time.
const atOnce = 30

// limits tells what Zoho says of its limits, and provokes it where that is wanted.
func (l *live) limits() error {
	if l.how.ProvokeLimits {
		var asking sync.WaitGroup
		for range atOnce {
			asking.Go(func() {
				_, _ = l.api.Find(l.ctx, zoho.Query{Select: []string{"id"}, From: "Leads", Where: zoho.Equal("Last_Name", l.name), Limit: 1})
			})
		}
		asking.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	const question, assumed = "What does Zoho say when it is asked too much?", "one of three bodies, with status 429"
	switch {
	case len(l.refused) > 0:
		l.find(question, assumed, strings.Join(l.refused, " | "), true, "")
	case l.how.ProvokeLimits:
		l.find(question, assumed, fmt.Sprintf("nothing: it took %d queries at once", atOnce), true, "")
	default:
		l.findings = append(l.findings, Finding{Question: question, Assumed: assumed, Found: "not asked", Do: "Ask with --provoke-limits when nobody else uses the organisation."})
	}
	words := "nothing: less than half is used, or it is never said"
	if n := len(l.credits); n > 0 {
		words = fmt.Sprintf("%d are left", l.credits[n-1])
	}
	l.find("Does Zoho say how many credits are left?", "once half of them are used", words, true, "")
	return nil
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
