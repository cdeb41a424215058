// Package secrets holds planted faults and good comparisons for the constant-time check's own test.
package secrets

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
)

type source struct{ secret string }

func bad(s source, secrets []string, given string, mac, want []byte) bool {
	switch s.secret {
	case given:
		return true
	}
	return given == s.secret || hex.EncodeToString(mac) != given || bytes.Equal(mac, want) ||
		strings.EqualFold(secrets[0], given) || slices.Contains(secrets, given) || sha256.Sum256(mac) == sha256.Sum256(want)
}

func good(s source, signature string, mac, want []byte, tokens int) bool {
	return s.secret != "" && signature == "none" && mac != nil && tokens == len(signature) &&
		hmac.Equal(mac, want) && subtle.ConstantTimeCompare([]byte(s.secret), []byte(signature)) == 1
}
