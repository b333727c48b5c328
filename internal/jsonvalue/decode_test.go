package jsonvalue

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKindsCarryNoLiteral(t *testing.T) {
	for met, want := range map[string]string{
		"number 123": "number", "number": "number", "string": "string", "array": "array", "": "value", "s3cret": "value",
	} {
		require.Equal(t, want, kind(met))
	}
	var n int8
	err := Decode([]byte("1234567"), &n)
	require.ErrorContains(t, err, "number does not fit int8")
	require.NotContains(t, err.Error(), "1234567")
}

// boaster is a type whose unmarshal method puts its input where encoding/json puts a Go name.
type boaster struct{}

func (*boaster) UnmarshalJSON(text []byte) error {
	return &json.UnmarshalTypeError{
		Value: string(text), Field: "Name." + string(text), Struct: string(text), Type: reflect.TypeFor[int](),
	}
}

type (
	account struct {
		Base
		Name   string
		Logins map[string][]login
		Boast  boaster
		Login  *login `json:"login,omitempty"`
	}
	Base  struct{ ID int }
	login struct {
		Token int `json:"token"`
	}
)

func TestAMismatchIsNamedByItsFieldsAndByNothingOfTheValue(t *testing.T) {
	for text, want := range map[string]string{
		`{"Name":1}`: "a JSON number does not fit string in field Name",
		`{"Logins":{"s3cret":[{"token":"s3cret"}]}}`:  "a JSON string does not fit int in field Logins.token",
		`{"Logins":{"Name":{"a":1}}}`:                 "a JSON object does not fit []jsonvalue.login in field Logins",
		`{"LOGIN":{"TOKEN":true}}`:                    "a JSON bool does not fit int in field login.token",
		`{"login":["s3cret"]}`:                        "a JSON array does not fit jsonvalue.login in field login",
		`"s3cret"`:                                    "a JSON string does not fit jsonvalue.account",
		`{"Logins":{"s3cret":[{"token":"s3cret"}]} x`: "it is not JSON",
		"{\"Name\":\"s3cret\xff\"}":                   "it is not JSON",
	} {
		require.EqualError(t, Decode([]byte(text), new(account)), want, text)
	}
	for text, want := range map[string]string{`{"ID":"s3cret"}`: "ID", `{"Boast":"s3cret"}`: "int"} {
		err := Decode([]byte(text), new(account))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// Others write it, and what they wrote is read.
func TestWhatIsNotWrittenIsReadAllTheSame(t *testing.T) {
	var got map[string]any
	require.NoError(t, Decode([]byte(`{"a":1,"\u0061":"\ud800"}`), &got))
	require.Equal(t, map[string]any{"a": "\ufffd"}, got)
	require.True(t, Valid([]byte(`{"a":1,"a":"\ud800"}`)))
	require.False(t, Valid([]byte("\"\xff\"")))
	require.False(t, Valid([]byte(`{"a":}`)))
}
