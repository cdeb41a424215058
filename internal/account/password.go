package account

import (
	"context"
	_ "embed"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
)

const (
	minPassword = 8   // characters; 15 are advised
	maxPassword = 128 // characters: a bound on work, not on choice
)

// hashing is argon2id as OWASP's Password Storage Cheat Sheet advises: 19 MiB, two passes, one lane.
var hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashers bounds how many passwords are hashed at once: each takes a core and 19 MiB, and pages must stay quick
// beside fifty people who sign in together.
var hashers = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// common.txt: passwords of eight characters and more by how often they were found in leaks, from zxcvbn's
// frequency lists (MIT, common.LICENSE).
//
//go:embed common.txt
var commonText string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool, 12000)
	for line := range strings.Lines(commonText) {
		all[strings.TrimSuffix(line, "\n")] = true
	}
	return all
})

// passwordProblem says what is wrong with a new password, empty when nothing is. About are words that it must not
// be, such as the person's address.
func passwordProblem(password string, about ...string) string {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return "Use at least 8 characters; 15 or more are better."
	case n > maxPassword:
		return "Use at most 128 characters."
	}
	lower := strings.ToLower(password)
	if commonPasswords()[lower] || strings.Trim(lower, lower[:1]) == "" {
		return "This password is known from leaks and easily guessed. Choose another one, such as a few random words."
	}
	for _, word := range append(about, "hookline") {
		if word = strings.ToLower(strings.TrimSpace(word)); word != "" && lower == word {
			return "Choose a password that is not your address or your business."
		}
	}
	return ""
}

// hashPassword makes the stored form, once a hasher is free.
func hashPassword(ctx context.Context, password string) (string, error) {
	select {
	case hashers <- struct{}{}:
		defer func() { <-hashers }()
	case <-ctx.Done():
		return "", fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
	hash, err := argon2id.CreateHash(password, hashing)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return hash, nil
}

// passwordMatches compares with a stored hash, once a hasher is free. It reports, too, whether the hash was made
// with other costs than today's and should be made anew.
func passwordMatches(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	if utf8.RuneCountInString(password) > maxPassword {
		return false, false, nil
	}
	select {
	case hashers <- struct{}{}:
		defer func() { <-hashers }()
	case <-ctx.Done():
		return false, false, fmt.Errorf("waiting to check a password: %w", ctx.Err())
	}
	match, params, err := argon2id.CheckHash(password, hash)
	if err != nil {
		return false, false, fmt.Errorf("checking a password: %w", err)
	}
	return match, *params != *hashing, nil
}

// nobody is the hash that an unknown account's password is compared with, so that it takes as long as a known
// one's.
var nobody = sync.OnceValues(func() (string, error) {
	return argon2id.CreateHash("no account has this password", hashing)
})
