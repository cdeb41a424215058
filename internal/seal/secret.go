// Package seal keeps secrets: a type that prints as ***, and sealing at rest.
package seal

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that must not be seen: it prints, logs and marshals as ***. Reveal gives the text to the one
// place that needs it.
type Secret string

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string { return "***" }

// Format hides the text from every verb, also from those that do not suit a text and would show it in complaint.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// LogValue hides the text from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalJSON hides the text from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal("***") }
