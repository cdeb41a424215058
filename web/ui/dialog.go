package ui

import (
	"maps"
	"slices"
)

func sorted(values map[string]string) []string {
	return slices.Sorted(maps.Keys(values))
}
