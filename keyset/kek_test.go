package keyset_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
)

func TestAKEKSaysItsKind(t *testing.T) {
	for kind, kek := range keks(t) {
		require.Equal(t, kind, kek.Kind())
		require.Equal(t, string(kind)+" KEK", kek.String())
		require.NoError(t, kek.Check())
		w := prepared(t, kek)
		require.Equal(t, kind, w.Kind())
		require.Equal(t, string(kind)+" wrapper", w.String())
	}
	require.Equal(t, keyset.KindPassphrase, keyset.FromEnv().Kind(), "it is a passphrase, wherever it comes from")
	require.Empty(t, keyset.KEK{}.Kind())
	require.Equal(t, "no KEK", keyset.KEK{}.String())
}

func TestAKEKThatCannotExistIsRefusedBeforeItIsUsed(t *testing.T) {
	const unset = "STATEREGISTRY_TEST_UNSET"
	t.Setenv("STATEREGISTRY_TEST_EMPTY", "")
	t.Setenv("STATEREGISTRY_TEST_KEY", secretPassphrase)
	for name, kek := range map[string]keyset.KEK{
		"the zero value":         {},
		"empty passphrase":       keyset.Passphrase(""),
		"nil raw key":            keyset.RawKey(nil),
		"raw key of 0 bytes":     keyset.RawKey([]byte{}),
		"raw key of 16 bytes":    keyset.RawKey(make([]byte, 16)),
		"raw key of 31 bytes":    keyset.RawKey(make([]byte, 31)),
		"raw key of 33 bytes":    keyset.RawKey(make([]byte, 33)),
		"raw key of 64 bytes":    keyset.RawKey(make([]byte, 64)),
		"nil AEAD":               keyset.AEAD(kmsName, nil),
		"nil AEAD with context":  keyset.AEADWithContext(kmsName, nil),
		"AEAD without a name":    keyset.AEAD("", kms(t)),
		"AEAD with a long name":  keyset.AEAD(strings.Repeat("n", 1025), kms(t)),
		"AEAD named in Latin-1":  keyset.AEAD("cl\xe9", kms(t)),
		"AEAD with NUL":          keyset.AEAD("a\x00b", kms(t)),
		"unset variable":         keyset.FromEnv(unset),
		"empty variable":         keyset.FromEnv("STATEREGISTRY_TEST_EMPTY"),
		"variable without name":  keyset.FromEnv(""),
		"two variables":          keyset.FromEnv("STATEREGISTRY_TEST_KEY", "STATEREGISTRY_TEST_EMPTY"),
		"the same variable, two": keyset.FromEnv("STATEREGISTRY_TEST_KEY", "STATEREGISTRY_TEST_KEY"),
	} {
		require.ErrorIs(t, kek.Check(), keyset.ErrKEK, name)
		_, err := kek.Prepare()
		require.ErrorIs(t, err, keyset.ErrKEK, name)
		_, err = kek.PrepareStored(kek.Kind(), "")
		require.ErrorIs(t, err, keyset.ErrKEK, name)
		require.NotErrorIs(t, err, keyset.ErrWrongKEK, name)
		require.NotContains(t, err.Error(), secretPassphrase, name)
	}
}

func TestACostOutOfBoundsIsRefusedBeforeItIsUsed(t *testing.T) {
	for _, cost := range []kdf.Cost{{}, {Time: 1, MemoryKiB: 100 << 20, Threads: 1}} {
		kek := keyset.PassphraseAtCost(secretPassphrase, cost)
		_, err := kek.Prepare()
		require.ErrorIs(t, err, keyset.ErrKEK)
		require.ErrorIs(t, kek.Check(), keyset.ErrKEK, "as Prepare")
	}
}

func TestTheLongestNameOfAnAEADIsOneKiB(t *testing.T) {
	name := strings.Repeat("é", 512)
	require.Equal(t, name, prepared(t, keyset.AEAD(name, kms(t))).Params())
}

func TestOnlyTheParametersAreStored(t *testing.T) {
	all := keks(t)
	require.Regexp(t, `^\$argon2id\$v=19\$m=8192,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, prepared(t, all[keyset.KindPassphrase]).Params())
	require.Empty(t, prepared(t, all[keyset.KindRawKey]).Params())
	require.Equal(t, kmsName, prepared(t, all[keyset.KindAEAD]).Params())
}

func TestAPassphraseCosts64MiBAnd3PassesUnlessATestSaysOtherwise(t *testing.T) {
	w := prepared(t, keyset.Passphrase(secretPassphrase))
	require.Regexp(t, `^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, w.Params())
}

func TestEachWrappingHasASaltOfItsOwn(t *testing.T) {
	kek, h := cheap(secretPassphrase), newHandle(t)
	one, other := prepared(t, kek), prepared(t, kek)
	require.NotEqual(t, one.Params(), other.Params())
	_, err := other.Unwrap(wrap(t, one, h, place), place)
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
}

// One crafted file must not be good for more than one guess: the file says which passphrase it is for.
func TestAFileStandsForOnePassphrase(t *testing.T) {
	w := prepared(t, cheap("guess"))
	_, err := cheap("guess").PrepareStored(w.Kind(), w.Params())
	require.NoError(t, err)
	_, wrong := cheap("another").PrepareStored(w.Kind(), w.Params())
	require.ErrorIs(t, wrong, keyset.ErrWrongKEK)
	_, err = prepared(t, keyset.RawKey(rawKey(1))).Unwrap(wrap(t, w, newHandle(t), place), place)
	require.Equal(t, err, wrong, "it says no more than a keyset that does not open")
}

func TestAFileThatIsCheaperThanTheDefaultIsRefused(t *testing.T) {
	t.Setenv(keyset.DefaultEnv, secretPassphrase)
	for _, cost := range []kdf.Cost{
		{Time: 1, MemoryKiB: 8 << 10, Threads: 1}, {Time: 2, MemoryKiB: 64 << 10, Threads: 4}, {Time: 3, MemoryKiB: 64<<10 - 1, Threads: 4},
	} {
		w := prepared(t, keyset.PassphraseAtCost(secretPassphrase, cost))
		for _, kek := range []keyset.KEK{keyset.Passphrase(secretPassphrase), keyset.FromEnv()} {
			_, err := kek.PrepareStored(w.Kind(), w.Params())
			require.ErrorIs(t, err, keyset.ErrWrongKEK, "%+v", cost)
		}
	}
	w := prepared(t, keyset.PassphraseAtCost(secretPassphrase, kdf.Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 1}))
	_, err := keyset.FromEnv().PrepareStored(w.Kind(), w.Params())
	require.NoError(t, err, "lanes are free")
}

func TestAPassphraseIsTakenByteForByte(t *testing.T) {
	w := prepared(t, cheap("pässphrase"))
	for _, other := range []string{"pa\u0308ssphrase", "Pässphrase", "pässphrase ", " pässphrase", "pässphrase\n", "pässphrase\x00"} {
		_, err := cheap(other).PrepareStored(w.Kind(), w.Params())
		require.ErrorIs(t, err, keyset.ErrWrongKEK, "%q", other)
	}
}

func TestARawKeyIsCopied(t *testing.T) {
	key := rawKey(1)
	kek := keyset.RawKey(key)
	clear(key)

	h := newHandle(t)
	wrapped := wrap(t, prepared(t, keyset.RawKey(rawKey(1))), h, place)
	got, err := prepared(t, kek).Unwrap(wrapped, place)
	require.NoError(t, err)
	requireSame(t, h, got)

	_, err = prepared(t, keyset.RawKey(key)).Unwrap(wrapped, place)
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.True(t, bytes.Equal(key, make([]byte, keyset.RawKeySize)), "and the caller's is left alone")
}

func TestTheEnvironmentIsReadWhenTheKEKIsMadeReady(t *testing.T) {
	require.Equal(t, "OXIDE_REGISTRY_KEY", keyset.DefaultEnv)
	t.Setenv(keyset.DefaultEnv, "")
	kek := keyset.FromEnv()
	require.ErrorIs(t, kek.Check(), keyset.ErrKEK)

	h, written := newHandle(t), prepared(t, keyset.Passphrase(secretPassphrase))
	wrapped := wrap(t, written, h, place)

	t.Setenv(keyset.DefaultEnv, secretPassphrase)
	require.NoError(t, kek.Check())
	ready, err := kek.PrepareStored(written.Kind(), written.Params())
	require.NoError(t, err)

	t.Setenv(keyset.DefaultEnv, "another")
	got, err := ready.Unwrap(wrapped, place)
	require.NoError(t, err, "what is ready stays ready")
	requireSame(t, h, got)
	_, err = kek.PrepareStored(written.Kind(), written.Params())
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
}

func TestFromEnvAndPassphraseAreTheSameKEK(t *testing.T) {
	for _, names := range [][]string{nil, {"STATEREGISTRY_TEST_KEY"}} {
		fromEnv := keyset.FromEnv(names...)
		t.Setenv(append(names, keyset.DefaultEnv)[0], secretPassphrase)
		for _, pair := range [][2]keyset.KEK{{keyset.Passphrase(secretPassphrase), fromEnv}, {fromEnv, keyset.Passphrase(secretPassphrase)}} {
			h, w := newHandle(t), prepared(t, pair[0])
			stored, err := pair[1].PrepareStored(w.Kind(), w.Params())
			require.NoError(t, err)
			got, err := stored.Unwrap(wrap(t, w, h, place), place)
			require.NoError(t, err)
			requireSame(t, h, got)
		}
	}
}

func TestFromEnvCopiesItsNames(t *testing.T) {
	t.Setenv("STATEREGISTRY_TEST_KEY", secretPassphrase)
	names := []string{"STATEREGISTRY_TEST_KEY"}
	kek := keyset.FromEnv(names...)
	names[0] = "STATEREGISTRY_TEST_UNSET"
	require.NoError(t, kek.Check())
}
