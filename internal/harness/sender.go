package harness

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Call is what a sender knows of a call that it sends, enough to find its traces again.
type Call struct {
	Tenant Tenant
	Token  string // stands in the summary, and so in the Zoho Call's subject
	From   string // E.164
	News   string // said of it later; must be in the record's text at the end
	Event  string // the provider's id of the event; a repeat is a repeat
	Body   []byte
}

// NewCall makes the nth call of a tenant's sender in the native format, about 4 KB long.
func NewCall(t Tenant, n int, from string) Call {
	token := fmt.Sprintf("token-%s-%d", t.Org, n)
	turns := []map[string]any{{"role": "agent", "text": "Thanks for calling. How can I help?", "at_seconds": 0}}
	for i := range 28 {
		turns = append(turns, map[string]any{"role": []string{"caller", "agent"}[i%2], "at_seconds": 4 * (i + 1),
			"text": "We talked about the delivery on Tuesday, the gate code and where the pallets should stand, number " + strconv.Itoa(i) + "."})
	}
	body, err := json.Marshal(map[string]any{
		"type": "call.completed", "call_id": token, "direction": "inbound", "status": "completed", "from": from, "to": "+14155550100",
		"started_at": time.Now().UTC().Format(time.RFC3339), "duration_seconds": 95,
		"caller":  map[string]any{"first_name": "Sarah", "last_name": "Caller " + strconv.Itoa(n), "company": "ABC Corp"},
		"summary": token + " asks about Tuesday.", "transcript": turns,
	})
	if err != nil {
		panic(err) // plain data
	}
	return Call{Tenant: t, Token: token, From: from, Event: "event-" + token, Body: body}
}

// Update is the event that tells the call's news.
func (c Call) Update() Call {
	body, err := json.Marshal(map[string]any{"type": "call.updated", "call_id": c.Token, "summary": c.Token + " " + c.News})
	if err != nil {
		panic(err) // plain data
	}
	c.Event, c.Body = "update-"+c.Token, body
	return c
}

// Sign is the Standard Webhooks signature over id, time and body.
func Sign(secret, id string, at time.Time, body []byte) http.Header {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err) // the program made it
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {id}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}

// Answer is what intake said.
type Answer struct {
	Status    int
	CallID    string `json:"call_id"`
	EventID   string `json:"event_id"`
	Duplicate bool   `json:"duplicate"`
}

// Post sends the call once.
func Post(ctx context.Context, client *http.Client, c Call) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Tenant.URL, bytes.NewReader(c.Body))
	if err != nil {
		return Answer{}, err
	}
	req.Header = Sign(c.Tenant.Secret, c.Event, time.Now(), c.Body)
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return Answer{}, err
	}
	_ = json.Unmarshal(text, &a) // an error page is no JSON; the status says enough
	return a, nil
}

// PostUntilTaken repeats the call as a provider would until it is answered 200.
func PostUntilTaken(ctx context.Context, client *http.Client, c Call) (Answer, error) {
	for {
		a, err := Post(ctx, client, c)
		if err == nil && a.Status == http.StatusOK {
			return a, nil
		}
		if err == nil && a.Status < 500 {
			return a, fmt.Errorf("answered %d", a.Status)
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
