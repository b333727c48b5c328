package keyset_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
)

func TestTheKindIsTheCallersAndNotTheFiles(t *testing.T) {
	kinds := []keyset.Kind{keyset.KindPassphrase, keyset.KindRawKey, keyset.KindAEAD, "", "Passphrase", "rawkey ", "kms", "\x00"}
	for own, kek := range keks(t) {
		params := prepared(t, kek).Params()
		for _, kind := range kinds {
			_, err := kek.PrepareStored(kind, params)
			if kind == own {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, keyset.ErrWrongKEK, "%q for a %q", kind, own)
			}
		}
	}
}

func TestARawKeyHasNoParameters(t *testing.T) {
	kek := keyset.RawKey(rawKey(1))
	for _, params := range []string{" ", "\x00", kmsName, prepared(t, cheap(secretPassphrase)).Params()} {
		_, err := kek.PrepareStored(keyset.KindRawKey, params)
		require.ErrorIs(t, err, keyset.ErrWrongKEK, "%q", params)
	}
}

func TestAnAEADOpensUnderItsNameOnly(t *testing.T) {
	kek := keyset.AEAD(kmsName, kms(t))
	for _, params := range []string{"", kmsName + "2", strings.ToUpper(kmsName), kmsName[1:], kmsName + " ", kmsName + "\x00"} {
		_, err := kek.PrepareStored(keyset.KindAEAD, params)
		require.ErrorIs(t, err, keyset.ErrWrongKEK, "%q", params)
	}
	_, err := kek.PrepareStored(keyset.KindAEAD, kmsName)
	require.NoError(t, err)
}

// What a file says is not printed at whatever length it has.
func TestALongNameInAFileMakesNoLongError(t *testing.T) {
	kek := keyset.AEAD(kmsName, kms(t))
	_, err := kek.PrepareStored(keyset.KindAEAD, strings.Repeat("x", 1<<20))
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.Less(t, len(err.Error()), 1000)
	_, err = kek.PrepareStored(keyset.Kind(strings.Repeat("\x00", 1<<20)), kmsName)
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.Less(t, len(err.Error()), 1000)
}

// An attacker who writes the file chooses the parameters; the program that opens it must not pay for them.
func TestParametersOutOfBoundsAreRefusedBeforeTheyCostAnything(t *testing.T) {
	const onlySalt = "AAECAwQFBgcICQoLDA0ODw"
	const commitment = "$sQTuCxCKT+ZjEEAE0mcyU3guhjJ/WeenPqq9L9rwaSU"
	const salt = onlySalt + commitment
	t.Setenv(keyset.DefaultEnv, secretPassphrase)
	for name, kek := range map[string]keyset.KEK{
		"passphrase": keyset.Passphrase(secretPassphrase), "environment": keyset.FromEnv(),
	} {
		for _, params := range []string{
			"",
			"$argon2id$v=19$m=0,t=0,p=0$" + salt,
			"$argon2id$v=19$m=0,t=3,p=1$" + salt,
			"$argon2id$v=19$m=65536,t=0,p=1$" + salt,
			"$argon2id$v=19$m=65536,t=3,p=0$" + salt,
			"$argon2id$v=19$m=8191,t=3,p=1$" + salt,
			"$argon2id$v=19$m=262145,t=3,p=1$" + salt,
			"$argon2id$v=19$m=104857600,t=3,p=1$" + salt, // 100 GiB
			"$argon2id$v=19$m=4294967295,t=4294967295,p=255$" + salt,
			"$argon2id$v=19$m=65536,t=11,p=1$" + salt,
			"$argon2id$v=19$m=65536,t=3,p=17$" + salt,
			"$argon2id$v=19$m=65536,t=3,p=1$",
			"$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt,
			"$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt + "$",
			"$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt[:20] + commitment,
			"$argon2id$v=19$m=65536,t=3,p=1$" + strings.Repeat("A", 88) + commitment,
			"$argon2id$v=19$m=65535,t=3,p=1$" + salt,
			"$argon2id$v=19$m=65536,t=2,p=1$" + salt,
			"$argon2id$v=19$m=8192,t=1,p=1$" + salt,
			"$argon2id$v=19$m=65536,t=3,p=1$" + salt + "==",
			"$argon2id$v=16$m=65536,t=3,p=1$" + salt,
			"$argon2i$v=19$m=65536,t=3,p=1$" + salt,
			kmsName,
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := kek.PrepareStored(keyset.KindPassphrase, params)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: %q", name, params)
			require.NotErrorIs(t, err, keyset.ErrKEK, "%s: %q", name, params)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "%s: %q", name, params)
		}
	}
}
