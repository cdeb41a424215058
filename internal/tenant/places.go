package tenant

import (
	_ "embed"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones work on machines without a zone database
)

// countries.txt: ISO 3166-1 alpha-2 and the English name, by name. zones.txt: IANA names as browsers report them.
var (
	//go:embed countries.txt
	countriesText string
	//go:embed zones.txt
	zonesText string
)

// Country is a region of the world that numbers its phones.
type Country struct {
	Code string // ISO 3166-1 alpha-2
	Name string // in English
}

// Countries are all countries, by name.
var Countries = sync.OnceValue(func() []Country {
	var all []Country
	for line := range strings.Lines(countriesText) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, Country{code, name})
	}
	return all
})

// IsCountry reports whether code names a country.
func IsCountry(code string) bool {
	for _, c := range Countries() {
		if c.Code == code {
			return true
		}
	}
	return false
}

// Zones are the time zones to choose from.
var Zones = sync.OnceValue(func() []string {
	return strings.Fields(zonesText)
})

// LoadZone reads an IANA name. The machine's own zone and the empty name are refused: both would mean something
// else on another machine.
func LoadZone(name string) (*time.Location, bool) {
	if name == "" || name == "Local" {
		return nil, false
	}
	zone, err := time.LoadLocation(name)
	return zone, err == nil
}
