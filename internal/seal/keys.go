package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// Keys is a set of keys: the first seals, all open. The zero value has no key and cannot be used.
type Keys struct {
	current string
	byID    map[string]cipher.AEAD
}

// ErrUnknownKey says that a text was sealed with a key that is not in the set.
var ErrUnknownKey = errors.New("sealed with a key that is not in the key set")

// format is the first byte of every sealed text, so that another cipher can follow.
const format = 1

// Parse reads a key set, id:base64[,id:base64…]: each key 32 bytes, each id 1 to 32 letters, digits, - or _.
func Parse(text string) (*Keys, error) {
	k := &Keys{byID: map[string]cipher.AEAD{}}
	for i, part := range strings.Split(text, ",") {
		id, encoded, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !isID(id) {
			return nil, fmt.Errorf("key %d is not id:base64", i+1)
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("key %s is not 32 bytes in base64", id)
		}
		if _, twice := k.byID[id]; twice {
			return nil, fmt.Errorf("key %s stands there twice", id)
		}
		if k.byID[id], err = chacha20poly1305.NewX(raw); err != nil {
			return nil, fmt.Errorf("key %s: %w", id, err)
		}
		if i == 0 {
			k.current = id
		}
	}
	return k, nil
}

// Generate makes one new key under id, in the form that Parse reads.
func Generate(id string) string {
	raw := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(raw) // never fails: the runtime ends the program instead
	return id + ":" + base64.StdEncoding.EncodeToString(raw)
}

// CurrentID is the id of the key that seals.
func (k *Keys) CurrentID() string { return k.current }

// IDs are the ids of all keys of the set, sorted.
func (k *Keys) IDs() []string { return slices.Sorted(maps.Keys(k.byID)) }

// Has reports whether the set holds the key.
func (k *Keys) Has(id string) bool { _, ok := k.byID[id]; return ok }

// Seal encrypts plain with the current key (XChaCha20-Poly1305). The text opens only under the same tenant, place
// ("table.column") and row: moved elsewhere it is worthless.
func (k *Keys) Seal(plain []byte, tenant [16]byte, place, row string) []byte {
	aead := k.byID[k.current]
	head := 2 + len(k.current)
	out := make([]byte, head+aead.NonceSize(), head+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0], out[1] = format, byte(len(k.current))
	copy(out[2:], k.current)
	nonce := out[head:]
	_, _ = rand.Read(nonce)
	return aead.Seal(out, nonce, plain, bind(tenant, place, row))
}

// Open decrypts what Seal made for the same tenant, place and row.
func (k *Keys) Open(sealed []byte, tenant [16]byte, place, row string) ([]byte, error) {
	id, rest, err := split(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := k.byID[id]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	if len(rest) < aead.NonceSize() {
		return nil, errors.New("sealed text is cut short")
	}
	nonce, text := rest[:aead.NonceSize()], rest[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, text, bind(tenant, place, row))
	if err != nil {
		return nil, fmt.Errorf("opening %s: the text was changed or belongs elsewhere", place)
	}
	return plain, nil
}

// KeyIDOf tells which key sealed the text.
func KeyIDOf(sealed []byte) (string, error) {
	id, _, err := split(sealed)
	return id, err
}

func split(sealed []byte) (id string, rest []byte, err error) {
	if len(sealed) < 2 || sealed[0] != format || len(sealed) < 2+int(sealed[1]) {
		return "", nil, errors.New("not a sealed text")
	}
	n := 2 + int(sealed[1])
	return string(sealed[2:n]), sealed[n:], nil
}

// bind is the associated data. Place and row are ours and hold no zero byte.
func bind(tenant [16]byte, place, row string) []byte {
	b := make([]byte, 0, len(tenant)+len(place)+1+len(row))
	b = append(b, tenant[:]...)
	b = append(b, place...)
	b = append(b, 0)
	return append(b, row...)
}

func isID(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}
