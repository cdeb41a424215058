package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"
)

// signed reports whether hexadecimal is the HMAC-SHA256 of the parts under one of the secrets. Every secret is tried
// and MACs are compared decoded, so that the time taken tells nothing of them.
func signed(secrets Secrets, hexadecimal string, parts ...[]byte) bool {
	mac, err := hex.DecodeString(hexadecimal)
	if err != nil || len(mac) != sha256.Size {
		return false
	}
	holds := false
	for _, secret := range secrets {
		if secret != "" && hmac.Equal(mac, macOf(secret, parts...)) {
			holds = true
		}
	}
	return holds
}

func macOf(secret string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// bearer reports whether an Authorization header carries one of the secrets.
func bearer(secrets Secrets, authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	// Digests have one length: the comparison tells nothing of the secret's.
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	holds := false
	for _, secret := range secrets {
		want := sha256.Sum256([]byte(secret))
		if secret != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			holds = true
		}
	}
	return holds
}

// fresh reports whether a signed time is within Tolerance of now.
func fresh(signedAt, now time.Time) bool { return now.Sub(signedAt).Abs() <= Tolerance }

func hexOf(mac []byte) string { return hex.EncodeToString(mac) }

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
