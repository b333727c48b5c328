//go:build goexperiment.jsonv2

package jsonvalue

import (
	"encoding/json"
	"encoding/json/jsontext"
	jsonv2 "encoding/json/v2"
)

// isRefusedByStrict reports whether the encoder refuses value if it is told to refuse what is not UTF-8. This implementation of
// encoding/json has methods (MarshalJSONTo) that write to it, and leave no text to look at.
func isRefusedByStrict(value any) bool {
	_, err := jsonv2.Marshal(value, json.DefaultOptionsV1(), jsontext.AllowInvalidUTF8(false))
	return err != nil
}
