package server

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"hookline/web/page"
)

// front is home for members and the welcome page for visitors.
func (s *Server) front(c echo.Context) error {
	if visitorOf(c).member != nil {
		return s.home(c)
	}
	return s.welcome(c)
}

// welcome shows what Hookline is, and the calculator with the visitor's own numbers.
func (s *Server) welcome(c echo.Context) error {
	v := page.WelcomeView{
		Frame: s.frame(c, "", ""),
		Calls: orDefault(c, "calls", "42"), Missed: orDefault(c, "missed", "74.1"),
		Close: orDefault(c, "close", "20"), Deal: orDefault(c, "deal", "5000"),
		Problems: page.Problems{},
	}
	calls := readNumber(v.Calls, 1_000_000, "calls", v.Problems)
	missed := readNumber(v.Missed, 100, "missed", v.Problems)
	closing := readNumber(v.Close, 100, "close", v.Problems)
	deal := readNumber(v.Deal, 100_000_000, "deal", v.Problems)
	if len(v.Problems) == 0 {
		missing, lost := missedRevenue(calls, missed, closing, deal)
		v.Missing = count(int(math.Round(missing)), "call", "calls")
		v.Lost, v.Year = dollars(lost), dollars(lost*12)
		v.Formula = []string{
			fmt.Sprintf("%s calls × %s %% not answered = %s calls", number(calls), number(missed), number(missing)),
			fmt.Sprintf("%s × %s %% become a sale × %s = %s", number(missing), number(closing), dollars(deal), dollars(lost)),
		}
	}
	return s.page(c, http.StatusOK, page.Welcome(v))
}

// missedRevenue is the study's formula, unrounded: calls × share not answered × share that buys × deal.
func missedRevenue(calls, missedPercent, closePercent, deal float64) (missing, lost float64) {
	missing = calls * missedPercent / 100
	return missing, missing * closePercent / 100 * deal
}

func orDefault(c echo.Context, name, otherwise string) string {
	if !c.QueryParams().Has(name) {
		return otherwise
	}
	return strings.TrimSpace(c.QueryParam(name))
}

// readNumber reads what people type: 5000, 5,000 or $5,000.
func readNumber(text string, most float64, field string, problems page.Problems) float64 {
	n, err := strconv.ParseFloat(strings.NewReplacer(",", "", "$", "", "%", "", " ", "").Replace(text), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > most {
		problems[field] = "Enter a number from 0 to " + thousands(int(most)) + "."
	}
	return n
}

func number(f float64) string {
	text := strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
	whole, fraction, ok := strings.Cut(text, ".")
	n, err := strconv.Atoi(whole)
	if err != nil {
		return text
	}
	if ok {
		return thousands(n) + "." + fraction
	}
	return thousands(n)
}

func dollars(f float64) string { return "$" + thousands(int(math.Round(f))) }
