package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func keys(t testing.TB, text string) *Keys {
	t.Helper()
	k, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedTextOpensOnlyWhereItBelongs(t *testing.T) {
	k := keys(t, Generate("k1"))
	a, b := [16]byte{1}, [16]byte{2}
	sealed := k.Seal([]byte("refresh token"), a, "connections.refresh_sealed", "row")
	if bytes.Contains(sealed, []byte("refresh token")) {
		t.Fatal("plain text in the sealed one")
	}
	if plain, err := k.Open(sealed, a, "connections.refresh_sealed", "row"); err != nil || string(plain) != "refresh token" {
		t.Fatalf("%q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another tenant": func() ([]byte, error) { return k.Open(sealed, b, "connections.refresh_sealed", "row") },
		"another column": func() ([]byte, error) { return k.Open(sealed, a, "connections.access_sealed", "row") },
		"another row":    func() ([]byte, error) { return k.Open(sealed, a, "connections.refresh_sealed", "other") },
		"one bit flipped": func() ([]byte, error) {
			bad := bytes.Clone(sealed)
			bad[len(bad)-1] ^= 1
			return k.Open(bad, a, "connections.refresh_sealed", "row")
		},
		"cut short": func() ([]byte, error) { return k.Open(sealed[:9], a, "connections.refresh_sealed", "row") },
		"empty":     func() ([]byte, error) { return k.Open(nil, a, "connections.refresh_sealed", "row") },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestRotatedKeySetOpensOldTextsAndSealsWithTheNewKey(t *testing.T) {
	old := Generate("2025")
	sealed := keys(t, old).Seal([]byte("x"), [16]byte{1}, "p", "r")
	rotated := keys(t, Generate("2026")+","+old)
	if plain, err := rotated.Open(sealed, [16]byte{1}, "p", "r"); err != nil || string(plain) != "x" {
		t.Fatalf("%q, %v", plain, err)
	}
	if id, _ := KeyIDOf(rotated.Seal([]byte("x"), [16]byte{1}, "p", "r")); id != "2026" {
		t.Errorf("sealed with %s", id)
	}
	if _, err := keys(t, Generate("2026")).Open(sealed, [16]byte{1}, "p", "r"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a missing key reads as %v", err)
	}
}

func TestBadKeySetsAreRefusedWithTheKeyNamed(t *testing.T) {
	for _, text := range []string{"", "k1", "k1:short", "k 1:" + strings.Repeat("A", 44), Generate("a") + "," + Generate("a")} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestSecretsPrintAsStars(t *testing.T) {
	s := Secret("hunter2")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s)
	j, _ := json.Marshal(map[string]any{"s": s})
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s),
		fmt.Sprintf("%d %x %v %+v", any(s), s, struct{ S Secret }{s}, []Secret{s}), fmt.Errorf("x: %v", s).Error(), log.String(), string(j)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("told in %s", text)
		}
	}
}

func TestCompressedTextComesBackAndABombIsRefused(t *testing.T) {
	plain := []byte(strings.Repeat(`{"role":"caller","text":"hello"}`, 100))
	back, err := Decompress(Compress(plain))
	if err != nil || !bytes.Equal(back, plain) {
		t.Fatalf("%d bytes back, %v", len(back), err)
	}
	if _, err := Decompress(Compress(make([]byte, maxPlain+1<<20))); err == nil {
		t.Error("unpacked more than the limit")
	}
}

func BenchmarkCompressAndSeal4KB(b *testing.B) {
	k := keys(b, Generate("k1"))
	plain := []byte(strings.Repeat(`{"role":"caller","text":"What is the price for 50 users?"},`, 70))
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		k.Seal(Compress(plain), [16]byte{1}, "events.raw", "0123456789abcdef")
	}
}
