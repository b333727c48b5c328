package keyset

// veil holds a secret out of reach of whoever prints what holds the veil. fmt stops at pointers, but a failed assertion of a test
// follows them, and reads unexported fields: it finds a function here, and nothing looks into a function.
type veil[T any] struct{ reveal func() T }

func veiled[T any](secret T) *veil[T] { return &veil[T]{func() T { return secret }} }
