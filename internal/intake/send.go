package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"hookline/internal/provider"
	"hookline/internal/seal"
)

// Sending says what to post and where.
type Sending struct {
	URL     string // a source's address
	Secret  seal.Secret
	Preset  string   // name of a preset; new-caller when empty
	File    []byte   // a body in the native format, sent in place of a preset, each time with a fresh call id
	Count   int      // at least 1
	Sandbox *Sandbox // gets the person the preset speaks of before the first call; nil for none
	HTTP    *http.Client
	Out     io.Writer
}

// Send signs and posts calls in the native format, one after the other, and writes one line an answer and a total. It
// returns an error when one was not taken.
func Send(ctx context.Context, s Sending) error {
	if s.Preset == "" {
		s.Preset = "new-caller"
	}
	p, ok := PresetOf(s.Preset)
	if !ok {
		var names []string
		for _, p := range Presets() {
			names = append(names, p.Name)
		}
		return fmt.Errorf("no preset %q; there are %s", s.Preset, strings.Join(names, ", "))
	}
	native := provider.Native{}
	if problem := provider.CheckSecret(native, s.Secret.Reveal()); problem != "" {
		return errors.New(problem)
	}
	var file map[string]any
	if s.File != nil {
		decoder := json.NewDecoder(bytes.NewReader(s.File))
		decoder.UseNumber()
		if err := decoder.Decode(&file); err != nil || file == nil {
			return errors.New("the file is not a JSON object")
		}
	}
	if s.Sandbox != nil && s.File == nil {
		if err := s.Sandbox.Stage(ctx, p); err != nil {
			return err
		}
	}
	if s.HTTP == nil {
		s.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	var taken, repeated, attention, refused int
	for i := range max(s.Count, 1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		body := native.Compose(p.Call(time.Now()), provider.Settings{})
		if file != nil {
			file["call_id"] = "send_" + uuid.NewString()
			var err error
			if body, err = json.Marshal(file); err != nil {
				return err
			}
		}
		start := time.Now()
		status, answer, err := s.post(ctx, native, body)
		took := time.Since(start).Round(time.Millisecond)
		switch {
		case err != nil:
			refused++
			fmt.Fprintf(s.Out, "%d\tno answer: %v\t%v\n", i+1, err, took)
		case status != http.StatusOK:
			refused++
			fmt.Fprintf(s.Out, "%d\t%d\t%s\t%v\n", i+1, status, answer.Detail, took)
		case answer.CallID == "":
			attention++
			fmt.Fprintf(s.Out, "%d\t%d\tevent %s\t%s\t%v\n", i+1, status, answer.EventID, answer.Status, took)
		default:
			if answer.Duplicate {
				repeated++
			} else {
				taken++
			}
			fmt.Fprintf(s.Out, "%d\t%d\tcall %s\tduplicate %v\t%v\n", i+1, status, answer.CallID, answer.Duplicate, took)
		}
	}
	total := max(s.Count, 1)
	fmt.Fprintf(s.Out, "total %d: %d stored, %d seen before, %d not read as a call, %d not taken\n", total, taken, repeated, attention, refused)
	if refused > 0 {
		return fmt.Errorf("%d of %d calls were not taken", refused, total)
	}
	return nil
}

type answered struct {
	CallID    string `json:"call_id"`
	EventID   string `json:"event_id"`
	Duplicate bool   `json:"duplicate"`
	Status    any    `json:"status"` // a word of ours, or the number in a problem
	Detail    string `json:"detail"`
}

func (s Sending) post(ctx context.Context, native provider.Native, body []byte) (int, answered, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return 0, answered{}, err
	}
	q.Header = native.Sign(s.Secret.Reveal(), "msg_"+uuid.NewString(), body, time.Now(), provider.Settings{})
	q.Header.Set("User-Agent", "hookline send")
	resp, err := s.HTTP.Do(q)
	if err != nil {
		return 0, answered{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return 0, answered{}, err
	}
	var a answered
	if json.Unmarshal(text, &a) != nil {
		a.Detail = "an answer that is not Hookline's"
	}
	return resp.StatusCode, a, nil
}
