package ui

import "strconv"

// Bar is one column of a chart.
type Bar struct {
	Label string // under the column, and in the table
	Value float64
	Text  string // the value as people read it
	Quiet bool   // no label under the column: there is no room for each
}

// BarsProps are a chart of columns with a table behind it.
type BarsProps struct {
	Title string // what is counted, for the caption
	Unit  string // head of the table's value column
	Bars  []Bar
}

const (
	chartWidth  = 720.0
	chartHeight = 160.0
	chartFoot   = 20.0 // room for labels
)

// column is one bar as the drawing needs it.
type column struct {
	x, y, w, h, mid string
	zero            bool
	bar             Bar
}

// columns lays the bars out; the tallest fills the height, an empty one is a hair line.
func (b BarsProps) columns() []column {
	if len(b.Bars) == 0 {
		return nil
	}
	highest := 0.0
	for _, bar := range b.Bars {
		highest = max(highest, bar.Value)
	}
	step := chartWidth / float64(len(b.Bars))
	width := min(step*0.72, 36)
	room := chartHeight - chartFoot - 14
	columns := make([]column, len(b.Bars))
	for i, bar := range b.Bars {
		h := 2.0
		if highest > 0 && bar.Value > 0 {
			h = max(3, bar.Value/highest*room)
		}
		mid := step * (float64(i) + 0.5)
		columns[i] = column{
			x: px(mid - width/2), y: px(chartHeight - chartFoot - h), w: px(width), h: px(h), mid: px(mid),
			zero: bar.Value <= 0, bar: bar,
		}
	}
	return columns
}

func px(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
