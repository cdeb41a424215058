package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hookline/internal/call"
)

// Sandbox is one organisation of a Zoho sandbox, whose control routes put records in as a person working in the CRM
// would. Only simulated calls use it.
type Sandbox struct {
	URL  string       // base of the sandbox
	Org  string       // organisation id
	HTTP *http.Client // nil for one that gives up after 5 s
}

// Stage puts the person, and the Deal, that the preset speaks of into the sandbox, unless they are there.
func (s *Sandbox) Stage(ctx context.Context, p Preset) error {
	if p.person == nil {
		return nil
	}
	account, err := s.ensure(ctx, "Accounts", map[string]any{"Account_Name": p.person.company}, func(r map[string]any) bool {
		return r["Account_Name"] == p.person.company
	})
	if err != nil {
		return err
	}
	contact, err := s.ensure(ctx, "Contacts", map[string]any{
		"First_Name": p.person.first, "Last_Name": p.person.last, "Email": p.person.email,
		"Phone": p.person.phone.Display("US"), "Account_Name": map[string]any{"id": account},
	}, func(r map[string]any) bool {
		stored, _ := r["Phone"].(string)
		return call.SamePhone(stored, "US", p.person.phone)
	})
	if err != nil || p.person.deal == "" {
		return err
	}
	_, err = s.ensure(ctx, "Deals", map[string]any{
		"Deal_Name": p.person.deal, "Stage": "Qualification", "Amount": 50000,
		"Closing_Date": time.Now().AddDate(0, 2, 0).Format(time.DateOnly),
		"Contact_Name": map[string]any{"id": contact}, "Account_Name": map[string]any{"id": account},
	}, func(r map[string]any) bool {
		linked, _ := r["Contact_Name"].(map[string]any)
		stage, _ := r["Stage"].(string)
		return linked != nil && linked["id"] == contact && !strings.HasPrefix(stage, "Closed")
	})
	return err
}

// ensure gives the id of the record that is wanted, and puts one in when there is none.
func (s *Sandbox) ensure(ctx context.Context, module string, record map[string]any, wanted func(map[string]any) bool) (string, error) {
	var have struct {
		Data []map[string]any `json:"data"`
	}
	if err := s.do(ctx, http.MethodGet, module, nil, &have); err != nil {
		return "", err
	}
	for _, r := range have.Data {
		if id, ok := r["id"].(string); ok && wanted(r) {
			return id, nil
		}
	}
	var made struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := s.do(ctx, http.MethodPost, module, map[string]any{"data": []any{record}}, &made); err != nil {
		return "", err
	}
	for _, item := range made.Data { // an id, or an object that holds one
		var id string
		if json.Unmarshal(item, &id) == nil && id != "" {
			return id, nil
		}
		var o struct {
			ID      string `json:"id"`
			Details struct {
				ID string `json:"id"`
			} `json:"details"`
		}
		if json.Unmarshal(item, &o) == nil {
			if o.ID != "" {
				return o.ID, nil
			}
			if o.Details.ID != "" {
				return o.Details.ID, nil
			}
		}
	}
	return "", fmt.Errorf("the sandbox named no id for the new record in %s", module)
}

func (s *Sandbox) do(ctx context.Context, method, module string, body, into any) error {
	client := s.HTTP
	if client == nil {
		client = &http.Client{Timeout: 5 * time.Second}
	}
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(encoded)
	}
	address := strings.TrimSuffix(s.URL, "/") + "/_sandbox/records/" + module + "?org=" + url.QueryEscape(s.Org)
	q, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return fmt.Errorf("asking the sandbox: %w", err)
	}
	q.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("asking the sandbox: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("reading the sandbox's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the sandbox answered %d to %s %s", resp.StatusCode, method, module)
	}
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, into)
}
