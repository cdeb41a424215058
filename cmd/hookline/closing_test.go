package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestWorkEndsSideBySideBeforeTheGroundGoesLastFirst(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	note := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
	doorClosed := make(chan struct{})
	end := closing{log: slog.New(slog.DiscardHandler), within: time.Minute}
	end.add(func() { note("database") })
	end.work(background(func(ctx context.Context) { <-ctx.Done(); <-doorClosed; note("worker") })) // waits for the door: must not keep it open
	end.add(func() { note("pool") })
	end.work(func() { note("door"); close(doorClosed) })
	end.run()
	if want := []string{"door", "worker", "pool", "database"}; !slices.Equal(order, want) {
		t.Errorf("ended in the order %v, want %v", order, want)
	}
}

func TestAnEndThatHangsIsCutOff(t *testing.T) {
	t.Parallel()
	end := closing{log: slog.New(slog.DiscardHandler), within: 10 * time.Millisecond}
	never := make(chan struct{})
	defer close(never)
	end.work(func() { <-never })
	end.run()
}
