package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/intake"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

type demoCommand struct {
	Calls int `help:"How many calls." default:"240"`
}

const (
	demoOwner    = "demo@example.com"
	demoPassword = "take a look around"
)

// Run serves as usual and fills a workspace beside: a business with known customers in its CRM and calls of every
// kind, each signed, posted and delivered as a provider's would be. A second run adds nothing.
func (d *demoCommand) Run(w *world) error {
	c, err := readConfig(w.env)
	if err != nil {
		return err
	}
	if c.SandboxURL == "" {
		return errors.New("the demo writes into the Zoho sandbox: unset ZOHO_CLIENT_ID and HOOKLINE_SANDBOX_ADDR=off")
	}
	log := newLog(c, w.errOut)
	return serve(w.ctx, c, "all", log, func() {}, func(ctx context.Context, p *parts, _ *intake.Receiver) {
		err := d.fill(ctx, p, w.errOut)
		switch {
		case err != nil && fault.KindOf(err) != fault.Conflict:
			log.Error("the demo workspace is not complete", "err", err)
		default:
			fmt.Fprintf(w.out, "Log in as %s with the password %q.\n%s\n", demoOwner, demoPassword, c.BaseURL)
		}
	})
}

func (d *demoCommand) fill(ctx context.Context, p *parts, progress io.Writer) error {
	made, err := (&tenantCreate{Name: "Harbor & Oak Plumbing", Owner: demoOwner, Password: demoPassword, Provider: "native",
		Country: "US", Zone: "America/Los_Angeles", ConnectSandbox: true, Edition: "enterprise"}).create(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "filling the demo workspace with %d calls\n", d.Calls)
	org := &intake.Sandbox{URL: p.config.SandboxURL, Org: made.Connection.OrgID}
	send := func(s intake.Sending) error {
		s.URL, s.Secret, s.Sandbox, s.Out = made.Source.URL, seal.Secret(made.Source.Secret), org, io.Discard
		return intake.Send(ctx, s)
	}
	for _, preset := range intake.Presets() {
		if err := send(intake.Sending{Preset: preset.Name}); err != nil {
			return err
		}
	}
	// The same calls every time: the demo is also what screenshots are compared with.
	random := rand.New(rand.NewPCG(7, 7))
	for n := range d.Calls {
		body, err := json.Marshal(demoCall(random, n))
		if err != nil {
			return err
		}
		if err := send(intake.Sending{File: body}); err != nil {
			return err
		}
	}
	// Someone changes the CRM for a while: new callers' Leads are refused, and wait for a person.
	if err := settle(ctx, p, made.TenantID); err != nil {
		return err
	}
	if err := requireIndustry(ctx, p.config.SandboxURL, made.Connection.OrgID, true); err != nil {
		return err
	}
	if err := send(intake.Sending{Preset: "new-caller", Count: 5}); err != nil {
		return err
	}
	if err := settle(ctx, p, made.TenantID); err != nil {
		return err
	}
	return requireIndustry(ctx, p.config.SandboxURL, made.Connection.OrgID, false)
}

// settle waits until no call is on its way.
func settle(ctx context.Context, p *parts, id string) error {
	t, err := tenant.ParseID(id)
	if err != nil {
		return err
	}
	for {
		stats, err := delivery.Stats(ctx, p.db, t)
		if err != nil {
			return err
		}
		if stats.ByStatus["received"]+stats.ByStatus["delivering"] == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func requireIndustry(ctx context.Context, sandbox, org string, required bool) error {
	fields := []string{}
	if required {
		fields = []string{"Industry"}
	}
	return connection.SetSandbox(ctx, sandbox, org, map[string]any{"required": map[string][]string{"Leads": fields}})
}

type demoPerson struct{ first, last, company string }

var demoPeople = []demoPerson{
	{"Sarah", "Johnson", "ABC Corp"}, {"Miguel", "Álvarez", ""}, {"Aiko", "Tanaka", "Bluebird Cafe"}, {"", "Prince", ""}, {"Oluwaseun", "Adeyemi", "Lagos Imports LLC"},
	{"شيرين", "الخطيب", "شركة النور"}, {"Zoë 🌸", "van der Berg", "Tulip & Thorn"}, {"Jean-Luc", "Bernard", ""}, {"Priya", "Raghunathan", "Monsoon Textiles"},
	{"Tom", "O'Neill", "O'Neill & Sons Roofing"}, {"Grace", "Kim", "Evergreen Dental"}, {"Anna-Maria", "Wolfeschlegelsteinhausenbergerdorff", "International Consolidated Holdings of Greater Northern California Incorporated"},
}

var demoTalks = []struct {
	summary string
	turns   []string // caller and agent in turn, the caller first
}{
	{"Wants a quote for re-piping a three-bedroom house, budget around $12,000.", []string{"Hi, I'd like a quote for re-piping our house.", "How many bedrooms?", "Three. We have about twelve thousand dollars for it."}},
	{"Asks whether the technician still comes on Thursday.", []string{"Is your technician still coming on Thursday?", "Yes, between nine and eleven.", "Perfect, thank you."}},
	{"Water heater leaks; wants somebody this week.", []string{"Our water heater is leaking.", "Is the water off?", "Yes. It is not urgent, but this week would be good."}},
	{"Pricing for the maintenance plan for 40 units.", []string{"What's the pricing of the maintenance plan for forty units?", "I can have somebody send you an offer.", "Please do, we decide in January."}},
	{"Please call back tomorrow at 2 PM about the invoice.", []string{"Can someone call me back tomorrow at 2 PM? It's about my invoice.", "Of course.", "Thanks."}},
	{"Emergency: pipe burst in the basement.", []string{"This is an emergency, a pipe burst and the basement is flooding!", "I am getting somebody for you.", "Hurry please."}},
	{"Thanks for the good work; nothing needed.", []string{"Just wanted to say thank you, your people were great.", "That is very kind.", "Bye."}},
	{"Quiere un presupuesto para un baño nuevo.", []string{"Hola, quiero un presupuesto para un baño nuevo.", "Claro, ¿cuándo podemos llamarle?", "Mañana por la mañana."}},
}

func demoCall(random *rand.Rand, n int) map[string]any {
	person := demoPeople[random.IntN(len(demoPeople))]
	talk := demoTalks[random.IntN(len(demoTalks))]
	number := "+1503" + strconv.Itoa(5550000+random.IntN(max(60, n*3/4))) // some call again
	turns := []map[string]any{{"role": "agent", "text": "Thanks for calling Harbor and Oak. How can I help?", "at_seconds": 0}}
	for i, text := range talk.turns {
		turns = append(turns, map[string]any{"role": []string{"caller", "agent"}[i%2], "text": text, "at_seconds": 4 + 6*i})
	}
	call := map[string]any{
		"type": "call.completed", "direction": "inbound", "status": "completed", "from": number, "to": "+15035550000",
		"started_at": time.Now().Add(-time.Duration(random.IntN(240)) * time.Second).UTC().Format(time.RFC3339), "duration_seconds": 20 + random.IntN(400),
		"caller":  map[string]any{"first_name": person.first, "last_name": person.last, "company": person.company},
		"summary": talk.summary, "transcript": turns,
	}
	switch random.IntN(12) {
	case 0:
		call["status"], call["duration_seconds"], call["transcript"], call["summary"] = "missed", 0, []any{}, ""
		call["caller"] = map[string]any{}
	case 1:
		call["status"] = "voicemail"
	case 2:
		call["from"] = "anonymous"
	case 3:
		call["direction"], call["from"], call["to"] = "outbound", "+15035550000", number
	}
	return call
}
