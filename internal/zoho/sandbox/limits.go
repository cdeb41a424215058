package sandbox

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// usage is what an organisation is using: credits of the last 24 hours by minute, calls at once. It has a lock of its own,
// because requests come and go around the sandbox's.
type usage struct {
	mu       sync.Mutex
	minutes  [24 * 60]struct{ minute, credits int }
	counted  struct{ minute, credits int } // the sum as of a minute: each request asks twice
	inFlight int
	heavy    int
	peak     int
}

// heavyCalls is the sub-concurrency limit of heavy calls, whatever the edition (API limits).
const heavyCalls = 10

func (u *usage) spent(now time.Time) int {
	minute, sum := int(now.Unix()/60), 0
	if u.counted.minute == minute {
		return u.counted.credits
	}
	for i := range u.minutes {
		if m := &u.minutes[i]; m.credits > 0 && m.minute > minute-len(u.minutes) && m.minute <= minute {
			sum += m.credits
		}
	}
	u.counted.minute, u.counted.credits = minute, sum
	return sum
}

func (u *usage) add(at time.Time, credits int) {
	minute := int(at.Unix() / 60)
	m := &u.minutes[((minute%len(u.minutes))+len(u.minutes))%len(u.minutes)]
	if m.minute != minute {
		m.minute, m.credits = minute, 0
	}
	m.credits += credits
	if minute <= u.counted.minute && minute > u.counted.minute-len(u.minutes) {
		u.counted.credits += credits
	}
}

// limits are the organisation's as its settings and edition have them. The caller holds the sandbox's lock.
func (o *org) limits() (credits, concurrency int) {
	e := editionByKey(o.Edition)
	credits, concurrency = e.Credits, e.Concurrency
	if o.Settings.Credits > 0 {
		credits = o.Settings.Credits
	}
	if o.Settings.Concurrency > 0 {
		concurrency = o.Settings.Concurrency
	}
	return credits, concurrency
}

// enter counts a call in; leave counts it out. A call over the limit is refused and stands in nobody's way.
func (s *Sandbox) enter(q *request, op operation) (leave func(), refusal *problem) {
	o := q.org
	if o == nil {
		return func() {}, nil
	}
	s.mu.RLock()
	_, most := o.limits()
	s.mu.RUnlock()
	u := &o.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.inFlight >= most:
		return func() {}, tooMany().because("%d calls are under way, the most that may be at once", u.inFlight)
	case op.heavy && u.heavy >= heavyCalls:
		return func() {}, tooMany().because("%d heavy calls are under way (COQL, conversion, more than 10 records), the most that may be at once", u.heavy)
	}
	u.inFlight++
	if op.heavy {
		u.heavy++
	}
	u.peak = max(u.peak, u.inFlight)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.inFlight--
		if op.heavy {
			u.heavy--
		}
	}, nil
}

// spend takes an operation's credits from the rolling day. A refused call costs nothing.
func (s *Sandbox) spend(q *request, op operation) *problem {
	done := q.reading()
	most, _ := q.org.limits()
	done()
	u := &q.org.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if op.cost > 0 && u.spent(q.at)+op.cost > most {
		return tooMany().because("%d of %d credits of the last 24 hours are used, and this costs %d", u.spent(q.at), most, op.cost)
	}
	u.add(q.at, op.cost)
	q.credits = op.cost
	return nil
}

// creditsHeader shows what is left, only once half of the day's credits is gone (API limits).
func (s *Sandbox) creditsHeader(o *org, a *answer) {
	s.mu.RLock()
	most, _ := o.limits()
	s.mu.RUnlock()
	o.usage.mu.Lock()
	used := o.usage.spent(s.now())
	o.usage.mu.Unlock()
	if used*2 > most {
		if a.header == nil {
			a.header = http.Header{}
		}
		a.header.Set("X-API-CREDITS-REMAINING", strconv.Itoa(most-used))
	}
}

// tooMany stands for the three bodies of a 429; see body429.
func tooMany() *problem {
	return refuse(http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "Too many requests fired within the allowed time", nil)
}

func (s *Sandbox) style429(o *org) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o == nil {
		return s.defaults.Style429
	}
	return o.Settings.Style429
}

// body429 is the body of a 429: a string code; a numeric one (obs), as older orgs answer; or the specification's example.
func body429(style string) []byte {
	switch style {
	case "number":
		return []byte(`{"code":429,"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired than the allowed limit for the past 24 hours.","details":[]}`)
	case "rate_limit":
		return []byte(`{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests. Please try again later.","status":"error","details":{}}`)
	}
	return marshal(tooMany())
}

func (s *Sandbox) sleepLatency(o *org) {
	s.mu.RLock()
	ms := s.defaults.LatencyMS
	if o != nil {
		ms = o.Settings.LatencyMS
	}
	s.mu.RUnlock()
	// Not cut short when the client leaves: what it sent is on its way and takes effect.
	if ms > 0 {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}
