package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// journal is the append-only file that a sandbox with a directory lives from. Each line is one change and reaches the kernel
// in one write before the request that caused it is answered: a killed process loses nothing that it acknowledged. (A power
// cut may: nothing is synced.) A nil journal keeps nothing.
type journal struct {
	mu   sync.Mutex
	file *os.File
	log  func(msg string, args ...any)
}

// change is a line of the journal. Exactly one of its payloads is set, as Kind says.
type change struct {
	Kind    string          `json:"k"`
	Org     string          `json:"o,omitempty"`
	Module  string          `json:"m,omitempty"`
	ID      string          `json:"i,omitempty"`
	Value   json.RawMessage `json:"v,omitempty"`
	Request *cause          `json:"r,omitempty"` // of a record's change
}

// cause names the request behind a change, so that a change whose request never reached the ledger still shows there.
type cause struct {
	Number uint64    `json:"n"`
	Method string    `json:"m"`
	Path   string    `json:"p"`
	At     time.Time `json:"t"`
	Action string    `json:"a"`
}

// ledgerTail is how many lines of the ledger survive a compaction.
const ledgerTail = 200_000

func (j *journal) write(c change) {
	if j == nil {
		return
	}
	b := append(marshal(c), '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return
	}
	if _, err := j.file.Write(b); err != nil {
		j.log("the sandbox's journal could not be written", "error", err)
	}
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := errors.Join(unlock(j.file), j.file.Close())
	j.file = nil
	return err
}

func (j *journal) org(o *org) {
	if j != nil {
		j.write(change{Kind: "org", Org: o.ID, Value: marshal(o)})
	}
}

func (j *journal) record(o *org, r *record, by *request, action string) {
	if j != nil {
		j.write(change{Kind: "put", Org: o.ID, Module: r.Module, ID: r.ID, Value: encodeRecord(r), Request: causeOf(by, action)})
	}
}

func (j *journal) remove(o *org, module, id string, by *request, action string) {
	if j != nil {
		j.write(change{Kind: "del", Org: o.ID, Module: module, ID: id, Request: causeOf(by, action)})
	}
}

func (j *journal) token(kind, id string, v any) {
	if j != nil {
		j.write(change{Kind: kind, ID: id, Value: marshal(v)})
	}
}

func (j *journal) line(n line) {
	if j != nil {
		j.write(change{Kind: "line", Value: marshal(storedLine{n, n.Request, n.Template})})
	}
}

func (j *journal) reset(org string) {
	if j != nil {
		j.write(change{Kind: "reset", Org: org})
	}
}

// house is what the sandbox keeps for organisations to come.
type house struct {
	Defaults settings
	Edition  string
	Centre   string
}

func (s *Sandbox) journalHouse() {
	s.journal.token("house", "", house{s.defaults, s.edition, s.centre})
}

type storedLine struct {
	line
	Request  uint64 `json:"request"`
	Template string `json:"template,omitempty"`
}

func causeOf(by *request, action string) *cause {
	if by == nil {
		return nil
	}
	return &cause{by.number, by.method, by.path, by.at.UTC(), action}
}

// encodeRecord keeps the kinds of values apart that JSON would mix: times and references are objects with one telling key.
func encodeRecord(r *record) []byte {
	values := make(map[string]any, len(r.Values))
	for k, v := range r.Values {
		switch v := v.(type) {
		case time.Time:
			values[k] = map[string]string{"$time": v.UTC().Format(time.RFC3339Nano)}
		case ref:
			values[k] = map[string]string{"$ref": v.Module, "id": v.ID}
		case map[string]any, []any:
			values[k] = map[string]any{"$raw": v}
		default:
			values[k] = v
		}
	}
	return marshal(map[string]any{"created": r.Created.UTC(), "modified": r.Modified.UTC(), "values": values})
}

func decodeRecord(module, id string, b []byte) (*record, error) {
	var in struct {
		Created  time.Time                  `json:"created"`
		Modified time.Time                  `json:"modified"`
		Values   map[string]json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	r := &record{ID: id, Module: module, Created: in.Created, Modified: in.Modified, Values: make(map[string]any, len(in.Values))}
	for k, raw := range in.Values {
		v, err := decodeJSON(raw)
		if err != nil {
			return nil, err
		}
		if m, ok := v.(map[string]any); ok {
			if t, ok := m["$time"].(string); ok {
				at, err := time.Parse(time.RFC3339Nano, t)
				if err != nil {
					return nil, err
				}
				v = at
			} else if to, ok := m["$ref"].(string); ok {
				id, _ := m["id"].(string)
				v = ref{to, id}
			} else {
				v = m["$raw"]
			}
		}
		r.Values[k] = v
	}
	return r, nil
}

// open reads the journal of dir, rewrites it where most of it is history, and goes on writing to it.
func (s *Sandbox) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "journal")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := lock(file); err != nil {
		file.Close()
		return fmt.Errorf("%s is in use by another process: %w", path, err)
	}
	read, good, err := s.load(file)
	if err != nil {
		file.Close()
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := file.Truncate(good); err != nil { // a line cut short by a kill
		file.Close()
		return err
	}
	j := &journal{file: file, log: s.log.Error}
	if live := s.liveLines(); read > 1000 && read > 2*live {
		if err := s.compact(path, j); err != nil {
			file.Close()
			return fmt.Errorf("compacting %s: %w", path, err)
		}
	}
	s.journal = j
	return nil
}

func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// unlock gives the lock up at once. Closing alone would leave it to a child process that is just being started and
// has not let go of what it inherited.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// load applies every whole line, and says how many there were and where the last ends.
func (s *Sandbox) load(file *os.File) (lines int, good int64, err error) {
	in := bufio.NewReaderSize(file, 1<<20)
	open := map[uint64]*line{} // changes whose request has no line in the ledger yet
	var order []uint64
	for {
		b, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return lines, good, err
		}
		var c change
		if err := json.Unmarshal(bytes.TrimSpace(b), &c); err != nil {
			return lines, good, fmt.Errorf("line %d: %w", lines+1, err)
		}
		if r := c.Request; r != nil {
			if open[r.Number] == nil {
				open[r.Number] = &line{Time: r.At, Method: r.Method, Path: r.Path, Org: c.Org, Request: r.Number}
				order = append(order, r.Number)
			}
			open[r.Number].Effects = append(open[r.Number].Effects, effect{Module: c.Module, ID: c.ID, Action: r.Action})
		}
		if err := s.apply(c, open); err != nil {
			return lines, good, fmt.Errorf("line %d: %w", lines+1, err)
		}
		lines++
		good += int64(len(b))
	}
	for _, n := range order {
		if l := open[n]; l != nil && n > 0 {
			l.N = s.ledger.last + 1
			s.ledger.add(*l)
		}
	}
	return lines, good, nil
}

func (s *Sandbox) apply(c change, open map[uint64]*line) error {
	switch c.Kind {
	case "house":
		h := house{Defaults: freshSettings()}
		if err := json.Unmarshal(c.Value, &h); err != nil {
			return err
		}
		s.defaults, s.edition, s.centre = h.Defaults, h.Edition, h.Centre
	case "org":
		o := &org{}
		if old := s.orgByID[c.Org]; old != nil {
			// The organisation as it is now; its records stay.
			old.PickExtras, old.Custom, old.Tags, old.Channels, old.Settings = nil, nil, nil, nil, settings{}
			if err := json.Unmarshal(c.Value, old); err != nil {
				return err
			}
			old.rebuild()
			return nil
		}
		if err := json.Unmarshal(c.Value, o); err != nil {
			return err
		}
		s.adopt(o)
	case "put":
		o := s.orgByID[c.Org]
		if o == nil {
			return fmt.Errorf("a record of an unknown organisation %s", c.Org)
		}
		r, err := decodeRecord(c.Module, c.ID, c.Value)
		if err != nil {
			return err
		}
		s.place(o, r)
		o.seen(c.ID)
	case "del":
		if o := s.orgByID[c.Org]; o != nil {
			o.seen(c.ID)
			s.displace(o, c.ID)
		}
	case "access", "refresh", "code", "consent", "untoken":
		return s.auth.apply(c)
	case "reset":
		for _, o := range s.orgs {
			if c.Org == "" || c.Org == o.ID {
				o.empty()
			}
		}
		s.forgetLedger(c.Org)
		clear(open)
	case "line":
		var l storedLine
		if err := json.Unmarshal(c.Value, &l); err != nil {
			return err
		}
		l.line.Request, l.line.Template = l.Request, l.Template
		s.ledger.add(l.line)
		delete(open, l.Request)
		if o := s.orgByID[l.Org]; o != nil && l.Credits > 0 {
			o.usage.add(l.Time, l.Credits)
		}
	default:
		return fmt.Errorf("an unknown kind of line, %q", c.Kind)
	}
	return nil
}

// seen keeps ids of deleted records from being given again.
func (o *org) seen(id string) {
	var n uint64
	if len(id) > len(o.Prefix) {
		if _, err := fmt.Sscanf(id[len(o.Prefix):], "%d", &n); err == nil {
			o.NextID = max(o.NextID, n)
		}
	}
}

func (s *Sandbox) liveLines() int {
	n := 1 + min(len(s.ledger.lines), ledgerTail) + s.auth.size()
	for _, o := range s.orgs {
		n++
		for _, t := range o.tables {
			n += t.live
		}
	}
	return n
}

// compact writes the present state to a new file and puts it in the old one's place.
func (s *Sandbox) compact(path string, j *journal) error {
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := lock(file); err != nil {
		file.Close()
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	put := func(c change) {
		_, _ = out.Write(append(marshal(c), '\n')) // Flush answers with the first error
	}
	put(change{Kind: "house", Value: marshal(house{s.defaults, s.edition, s.centre})})
	for _, o := range s.orgs {
		put(change{Kind: "org", Org: o.ID, Value: marshal(o)})
	}
	s.auth.each(func(kind, id string, v any) { put(change{Kind: kind, ID: id, Value: marshal(v)}) })
	for _, o := range s.orgs {
		for _, m := range modules {
			for _, e := range o.tables[m.API].order {
				if e.now != nil {
					put(change{Kind: "put", Org: o.ID, Module: m.API, ID: e.now.ID, Value: encodeRecord(e.now)})
				}
			}
		}
	}
	tail := s.ledger.lines
	if len(tail) > ledgerTail {
		tail = tail[len(tail)-ledgerTail:]
	}
	for _, l := range tail {
		put(change{Kind: "line", Value: marshal(storedLine{l, l.Request, l.Template})})
	}
	if err := out.Flush(); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		file.Close()
		return err
	}
	j.file.Close()
	j.file = file
	return nil
}
