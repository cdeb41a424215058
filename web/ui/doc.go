// Package ui draws the parts that pages are made of: buttons, fields, tables, badges, timelines.
//
// A part is a function of a plain struct whose zero value works; every text arrives formatted and ready to read.
// Tones (good, warn, bad, busy, or none) colour what has a status, and always beside a word or a shape. How parts
// look is static/app.css's business; what they mean is the page's.
package ui

// Tone says how a thing stands. It never stands alone: a word or a shape goes with it.
type Tone string

const (
	Plain Tone = ""
	Good  Tone = "good"
	Warn  Tone = "warn"
	Bad   Tone = "bad"
	Busy  Tone = "busy"
)
