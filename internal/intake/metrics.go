package intake

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what was received, by vendor and by what became of it.
type metrics struct {
	received *prometheus.CounterVec
	batch    prometheus.Histogram
	commit   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_intake_received_total",
			Help: "Webhooks received, by provider and result: stored, duplicate, needs_attention, ignored, refused, unavailable, and the reasons of other refusals.",
		}, []string{"provider", "result"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookline_intake_batch_events", Help: "Events that shared one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookline_intake_commit_seconds", Help: "Time that one transaction took.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
	}
	if r != nil {
		r.MustRegister(m.received, m.batch, m.commit)
	}
	return m
}

func (m *metrics) count(provider, result string) { m.received.WithLabelValues(provider, result).Inc() }

func (m *metrics) committed(events int, took time.Duration) {
	m.batch.Observe(float64(events))
	m.commit.Observe(took.Seconds())
}
