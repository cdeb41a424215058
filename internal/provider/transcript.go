package provider

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/internal/call"
)

// speakers are the labels that vendors give to the two sides.
var speakers = map[string]call.Role{
	"agent": call.Agent, "assistant": call.Agent, "ai": call.Agent, "bot": call.Agent, "virtual assistant": call.Agent,
	"receptionist": call.Agent, "transfer_target": call.Agent, "ai agent": call.Agent, "nextphone": call.Agent,
	"user": call.Caller, "human": call.Caller, "caller": call.Caller, "customer": call.Caller, "client": call.Caller, "lead": call.Caller,
}

// machinery are roles of entries that nobody spoke.
var machinery = map[string]bool{"system": true, "tool": true, "tool_calls": true, "tool_call_invocation": true, "tool_call_result": true,
	"function": true, "node_transition": true, "dtmf": true}

// transcript reads turns, or text that names its speakers.
func (r *reader) transcript(v any, textKey string, seconds func(turn document) any) []call.Turn {
	list, ok := v.([]any)
	if !ok {
		return splitTranscript(text(v))
	}
	turns := make([]call.Turn, 0, len(list))
	for _, item := range list {
		entry, ok := item.(document)
		if !ok {
			if s := text(item); s != "" {
				turns = append(turns, splitTranscript(s)...)
			}
			continue
		}
		label := strings.ToLower(text(entry["role"]))
		said := text(entry[textKey])
		if said == "" || machinery[label] {
			continue
		}
		role := speakers[label]
		if role == "" && label != "" {
			r.note("The transcript names a speaker %s that is not known; the words are kept without one.", shown(label))
		}
		turns = append(turns, call.Turn{Role: role, Text: said, At: offset(seconds(entry))})
	}
	if len(turns) == 0 {
		return nil
	}
	return turns
}

// offset is a turn's place in the call, in milliseconds; nonsense is the start.
func offset(v any) time.Duration {
	s, ok := float(v)
	if !ok || s < 0 || s > 1e6 {
		return 0
	}
	return time.Duration(math.Round(s*1000)) * time.Millisecond
}

var inlineLabel = regexp.MustCompile(`(?i)(?:^|\s)(agent|assistant|ai|bot|virtual assistant|receptionist|user|human|caller|customer|client|lead):\s`)

// splitTranscript splits text at the speakers it names: at line starts, or, when it is one line, inside it. Text
// that names none is one turn without a speaker.
func splitTranscript(s string) []call.Turn {
	if s == "" {
		return nil
	}
	if !strings.Contains(s, "\n") {
		return splitInline(s)
	}
	var turns []call.Turn
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if label, said, found := strings.Cut(line, ":"); found && len(label) <= 40 {
			if role, known := speakers[strings.ToLower(strings.TrimSpace(label))]; known {
				turns = append(turns, call.Turn{Role: role, Text: strings.TrimSpace(said)})
				continue
			}
		}
		if len(turns) == 0 {
			turns = append(turns, call.Turn{Text: line})
			continue
		}
		last := &turns[len(turns)-1]
		last.Text = strings.TrimPrefix(last.Text+"\n"+line, "\n")
	}
	return slices.DeleteFunc(turns, func(t call.Turn) bool { return t.Text == "" })
}

func splitInline(s string) []call.Turn {
	marks := inlineLabel.FindAllStringSubmatchIndex(s, -1)
	if len(marks) == 0 {
		return []call.Turn{{Text: s}}
	}
	var turns []call.Turn
	if before := strings.TrimSpace(s[:marks[0][0]]); before != "" {
		turns = append(turns, call.Turn{Text: before})
	}
	for i, m := range marks {
		end := len(s)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if said := strings.TrimSpace(s[m[1]:end]); said != "" {
			turns = append(turns, call.Turn{Role: speakers[strings.ToLower(s[m[2]:m[3]])], Text: said})
		}
	}
	return turns
}

// callerSpoke reports whether a turn of the caller is in the transcript.
func callerSpoke(turns []call.Turn) bool {
	for _, t := range turns {
		if t.Role == call.Caller {
			return true
		}
	}
	return false
}

// script writes turns as text that splitTranscript reads.
func script(turns []call.Turn) string {
	var b strings.Builder
	for i, t := range turns {
		if i > 0 {
			b.WriteByte('\n')
		}
		switch t.Role {
		case call.Agent:
			b.WriteString("Agent: ")
		case call.Caller:
			b.WriteString("Caller: ")
		}
		b.WriteString(strings.ReplaceAll(t.Text, "\n", " "))
	}
	return b.String()
}
