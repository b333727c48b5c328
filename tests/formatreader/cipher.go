package formatreader

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// opener opens a ciphertext, which begins with its nonce.
type opener func(ciphertext, associatedData []byte) ([]byte, error)

type algorithm struct {
	name    string
	hasSalt bool
	opener  func(key []byte) opener
}

// algorithms by the type_url of their keys.
var algorithms = map[string]algorithm{
	typeURL + "XChaCha20Poly1305Key": {"XChaCha20-Poly1305", false, with(openXChaCha)},
	typeURL + "XAesGcmKey":           {"XAES-256-GCM", true, with(openXAES)},
	typeURL + "AesGcmKey":            {"AES-256-GCM", false, with(openAESGCM)},
}

const typeURL = "type.googleapis.com/google.crypto.tink."

func with(open func(key, ciphertext, associatedData []byte) ([]byte, error)) func(key []byte) opener {
	return func(key []byte) opener {
		return func(ciphertext, associatedData []byte) ([]byte, error) { return open(key, ciphertext, associatedData) }
	}
}

var errCiphertext = errors.New("decryption failed")

func openXChaCha(key, ciphertext, associatedData []byte) ([]byte, error) {
	a, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return openAfterNonce(a, ciphertext, associatedData)
}

func openAESGCM(key, ciphertext, associatedData []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return openAfterNonce(a, ciphertext, associatedData)
}

// xaesSalt is the size of XAES-256-GCM's salt.
const xaesSalt = 12

func openXAES(key, ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < xaesSalt {
		return nil, errCiphertext
	}
	derived, err := deriveXAES(key, ciphertext[:xaesSalt])
	if err != nil {
		return nil, err
	}
	return openAESGCM(derived, ciphertext[xaesSalt:], associatedData)
}

// deriveXAES is the key of one message.
func deriveXAES(key, salt []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	var l, k1 [aes.BlockSize]byte
	block.Encrypt(l[:], l[:])
	for i := range k1 {
		k1[i] = l[i] << 1
		if i+1 < len(l) {
			k1[i] |= l[i+1] >> 7
		}
	}
	if l[0]>>7 == 1 {
		k1[len(k1)-1] ^= 0x87
	}
	var derived []byte
	for counter := byte(1); counter <= 2; counter++ {
		m := append([]byte{0x00, counter, 'X', 0x00}, salt...)
		for i := range m {
			m[i] ^= k1[i]
		}
		block.Encrypt(m, m)
		derived = append(derived, m...)
	}
	return derived, nil
}

func openAfterNonce(a cipher.AEAD, ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < a.NonceSize()+a.Overhead() {
		return nil, errCiphertext
	}
	plaintext, err := a.Open(nil, ciphertext[:a.NonceSize()], ciphertext[a.NonceSize():], associatedData)
	if err != nil {
		return nil, errCiphertext
	}
	return plaintext, nil
}
