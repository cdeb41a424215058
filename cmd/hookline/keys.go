package main

import (
	"fmt"
	"time"

	"hookline/internal/seal"
)

type keysCommand struct {
	Generate keysGenerate `cmd:"" help:"Print a new key for HOOKLINE_SECRET_KEY."`
}

type keysGenerate struct {
	ID string `help:"Id of the key; today's date when empty."`
}

func (k *keysGenerate) Run(w *world) error {
	id := k.ID
	if id == "" {
		id = time.Now().UTC().Format("20060102")
	}
	text := seal.Generate(id)
	if _, err := seal.Parse(text); err != nil {
		return err
	}
	fmt.Fprintln(w.out, text)
	return nil
}
