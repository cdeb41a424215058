package call

import (
	"log/slog"
)

// Phone is a number in E.164, such as +14155550123, or empty. It prints masked in logs.
type Phone string

// LogValue keeps all but the last two digits out of logs.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.Masked()) }

// Masked shows the last two digits only.
func (p Phone) Masked() string {
	if len(p) < 4 {
		return "…"
	}
	return "…" + string(p[len(p)-2:])
}
