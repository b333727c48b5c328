package kdf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse: what is read is within the bounds and has one spelling, whatever a file says.
func FuzzParse(f *testing.F) {
	f.Add(text(8<<10, 1, 1, 16))
	f.Add(text(256<<10, 10, 16, 64))
	f.Add(text(100<<20, 1, 1, 16))
	f.Add(text(8<<10, 0, 0, 0))
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$sQTuCxCKT+ZjEEAE0mcyU3guhjJ/WeenPqq9L9rwaSU")
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODx")
	f.Add("$argon2id$v=19$m=065536,t=+3,p=4$AAECAwQFBgcICQoLDA0ODw==")
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw\n")
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$AAAA")
	f.Add("$argon2id$v=16$m=65536,t=3,p=4$")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrParams)
			return
		}
		require.Equal(t, text, p.String())
		require.True(t, p.Time >= 1 && p.Time <= 10, "%d passes", p.Time)
		require.True(t, p.MemoryKiB >= 8<<10 && p.MemoryKiB <= 256<<10, "%d KiB", p.MemoryKiB)
		require.True(t, p.Threads >= 1 && p.Threads <= 16, "%d lanes", p.Threads)
		require.Len(t, p.commitment, 32)
		require.True(t, len(p.salt) >= 16 && len(p.salt) <= 64, "a salt of %d bytes", len(p.salt))
	})
}
