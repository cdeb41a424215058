package page

import "fmt"

func moreTurns(n int) string {
	if n == 1 {
		return "Show 1 more line"
	}
	return fmt.Sprintf("Show %d more lines", n)
}

func numbered(prefix string, n int) string { return fmt.Sprintf("%s-%d", prefix, n) }
