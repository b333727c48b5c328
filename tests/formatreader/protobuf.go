package formatreader

import (
	"encoding/binary"
	"fmt"
	"math"
)

// message is a parsed protobuf message: what each field number holds, in order.
type message map[uint64][]field

// field is a varint, or bytes.
type field struct {
	isBytes bool
	varint  uint64
	bytes   []byte
}

// The wire types that occur.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var errProtobuf = fmt.Errorf("%w: not the message of a keyset", ErrWrongKey)

// parseMessage takes a message apart. Unknown fields are there too, and nobody asks for them.
func parseMessage(b []byte) (message, error) {
	m := message{}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > math.MaxInt32>>2 {
			return nil, errProtobuf
		}
		b = b[n:]
		var f field
		size := uint64(0) // of what follows
		switch tag & 7 {
		case wireVarint:
			if f.varint, n = binary.Uvarint(b); n <= 0 {
				return nil, errProtobuf
			}
			size = uint64(n)
		case wireBytes:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return nil, errProtobuf
			}
			f.isBytes, f.bytes = true, b[n:n+int(length)]
			size = uint64(n) + length
		case wireFixed64:
			size = 8
		case wireFixed32:
			size = 4
		default:
			return nil, errProtobuf
		}
		if size > uint64(len(b)) {
			return nil, errProtobuf
		}
		if tag&7 == wireVarint || tag&7 == wireBytes {
			m[tag>>3] = append(m[tag>>3], f)
		}
		b = b[size:]
	}
	return m, nil
}

// one is a field that occurs once or not at all.
func (m message) one(number uint64, isBytes bool) (field, error) {
	fields := m[number]
	if len(fields) == 0 {
		return field{}, nil
	}
	if len(fields) > 1 || fields[0].isBytes != isBytes {
		return field{}, errProtobuf
	}
	return fields[0], nil
}

// uint32 is a number or an enum, 0 where it is missing.
func (m message) uint32(number uint64) (uint32, error) {
	f, err := m.one(number, false)
	if err == nil && f.varint > math.MaxUint32 {
		err = errProtobuf
	}
	return uint32(f.varint), err
}

func (m message) uint32s(numbers ...uint64) ([]uint32, error) {
	var found []uint32
	for _, number := range numbers {
		n, err := m.uint32(number)
		if err != nil {
			return nil, err
		}
		found = append(found, n)
	}
	return found, nil
}

// bytes are empty where they are missing.
func (m message) bytes(number uint64) ([]byte, error) {
	f, err := m.one(number, true)
	return f.bytes, err
}

// message is empty where it is missing.
func (m message) message(number uint64) (message, error) {
	b, err := m.bytes(number)
	if err != nil {
		return nil, err
	}
	return parseMessage(b)
}

// all is a repeated field of bytes.
func (m message) all(number uint64) ([][]byte, error) {
	var found [][]byte
	for _, f := range m[number] {
		if !f.isBytes {
			return nil, errProtobuf
		}
		found = append(found, f.bytes)
	}
	return found, nil
}
