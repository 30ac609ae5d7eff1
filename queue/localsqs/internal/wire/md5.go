package wire

import (
	"crypto/md5"
	"encoding/binary"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// AttributesMD5 is the digest of message attributes, which must be sorted by
// name, as AWS computes it (SQS developer guide, "Calculating the MD5 message
// digest for message attributes").
func AttributesMD5(attrs []engine.Attribute) [16]byte {
	h := make([]byte, 0, 512)
	for i := range attrs {
		a := &attrs[i]
		h = appendSized(h, a.Name)
		h = appendSized(h, a.Type)
		if a.Binary() {
			h = append(h, 2)
		} else {
			h = append(h, 1)
		}
		h = appendSized(h, a.String)
	}
	return md5.Sum(h)
}

func appendSized(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
