package clip

import (
	"regexp"
	"strings"
)

// varying matches what differs between error texts of one cause: quoted text, UUIDs,
// long hexadecimal ids, and numbers with what joins them (addresses, times, versions).
var varying = regexp.MustCompile(`"(?:[^"\\]|\\.)*"` +
	`|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b` +
	`|\b(?:0x)?[0-9a-fA-F]{8,}\b` +
	`|\d+(?:[.:,/-]\d+)*`)

// status matches an HTTP status of a failure.
var status = regexp.MustCompile(`^[45]\d\d$`)

// Shape returns an error text as one line of at most [Text] bytes, without what differs
// between errors of one cause: each number, id and quoted text is "…". Errors of one
// shape have most likely one cause. A number that can be an HTTP status stays, for 404
// and 503 are two causes.
func Shape(s string) string {
	s = strings.Join(strings.Fields(s[:min(len(s), 4*Text)]), " ")
	return Line(varying.ReplaceAllStringFunc(s, func(part string) string {
		switch {
		case status.MatchString(part), strings.Trim(part, "abcdefABCDEF") == "": // a word of those letters
			return part
		}
		return ellipsis
	}), Text)
}
