package localsqs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

const (
	sigAlgorithm = "AWS4-HMAC-SHA256"
	sigTime      = "20060102T150405Z"
	maxSkew      = 15 * time.Minute // between the signature's time and ours
	mostExpires  = 7 * 24 * 3600    // seconds that a signature among the parameters may be valid for
)

// signature is a request's signature taken apart.
type signature struct {
	accessKey, date, region, service string
	headers                          []string
	sum                              string

	secret string // of the access key
	at     time.Time

	inQuery bool // it is among the parameters, and not in a header
}

// querySignature reads the signature of a request that has it in its parameters.
func querySignature(q url.Values) (s signature, ok bool) {
	p := strings.Split(q.Get("X-Amz-Credential"), "/")
	if q.Get("X-Amz-Algorithm") != sigAlgorithm || len(p) != 5 || p[4] != "aws4_request" {
		return s, false
	}
	s = signature{accessKey: p[0], date: p[1], region: p[2], service: p[3],
		headers: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), sum: q.Get("X-Amz-Signature"), inQuery: true}
	return s, s.accessKey != "" && s.sum != ""
}

func parseSignature(header string) (s signature, ok bool) {
	rest, ok := strings.CutPrefix(header, sigAlgorithm+" ")
	if !ok {
		return s, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "Credential":
			p := strings.Split(value, "/")
			if len(p) != 5 || p[4] != "aws4_request" {
				return s, false
			}
			s.accessKey, s.date, s.region, s.service = p[0], p[1], p[2], p[3]
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.sum = value
		}
	}
	return s, s.accessKey != "" && len(s.headers) > 0 && s.sum != ""
}

// readSignature reads a request's signature (AWS Signature Version 4) and
// refuses it if it is of an unknown access key, of another time, or leaves open
// what must be signed.
func readSignature(r *http.Request, keys map[string]string, now time.Time, signed []string) (*signature,
	*engine.Error) {
	header, params := r.Header.Get("Authorization"), url.Values(nil)
	if header == "" {
		params, _ = parameters(r.URL.RawQuery) // what cannot be read is refused later
	}
	if header == "" && !params.Has("X-Amz-Signature") {
		return nil, forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	sig, ok := parseSignature(header)
	date := r.Header.Get("X-Amz-Date")
	if params.Has("X-Amz-Signature") {
		sig, ok = querySignature(params)
		date = params.Get("X-Amz-Date")
	}
	if !ok {
		e := forbidden("IncompleteSignature", "The Authorization header is not a whole "+sigAlgorithm+" signature.")
		e.Status = http.StatusBadRequest
		return nil, e
	}
	secret, known := keys[sig.accessKey]
	if !known {
		return nil, forbidden("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	at, err := time.Parse(sigTime, date)
	if err != nil {
		return nil, forbidden("SignatureDoesNotMatch",
			"The request needs the header X-Amz-Date, like 20261123T130500Z.")
	}
	valid := maxSkew
	if expires := params.Get("X-Amz-Expires"); sig.inQuery && expires != "" {
		s, err := strconv.Atoi(expires)
		if err != nil || s < 1 || s > mostExpires {
			return nil, forbidden("SignatureDoesNotMatch", "X-Amz-Expires must be from 1 to 604800 seconds.")
		}
		valid = time.Duration(s) * time.Second
	}
	if skew := now.Sub(at); skew > valid || skew < -maxSkew {
		return nil, forbidden("SignatureDoesNotMatch", "Signature expired: it is of "+date+", and valid for "+
			valid.String()+"; it is "+now.UTC().Format(sigTime)+" now.")
	}
	if sig.date != at.Format("20060102") || sig.service != "sqs" {
		return nil, forbidden("SignatureDoesNotMatch",
			"Credential should be scoped to the date of X-Amz-Date and to the service sqs.")
	}
	for _, name := range signed {
		if sig.inQuery && name == "x-amz-date" {
			continue // all parameters are signed
		}
		if !slices.Contains(sig.headers, name) {
			return nil, forbidden("SignatureDoesNotMatch", "The headers "+strings.Join(signed, ", ")+
				" must be signed.")
		}
	}
	sig.secret, sig.at = secret, at
	return &sig, nil
}

// check recomputes the signature over the request.
func (s *signature) check(r *http.Request, body []byte) *engine.Error {
	if !hmac.Equal([]byte(s.sum), []byte(s.expected(r, body))) {
		return forbidden("SignatureDoesNotMatch",
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret "+
				"Access Key and signing method.")
	}
	return nil
}

func (s *signature) expected(r *http.Request, body []byte) string {
	var c strings.Builder
	c.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL, s.inQuery) + "\n")
	for _, name := range s.headers {
		c.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	c.WriteString("\n" + strings.Join(s.headers, ";") + "\n" + hexSum(body))
	scope := s.date + "/" + s.region + "/" + s.service + "/aws4_request"
	text := sigAlgorithm + "\n" + s.at.Format(sigTime) + "\n" + scope + "\n" + hexSum([]byte(c.String()))
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalPath encodes the path once more, as every service but S3 wants it.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// canonicalQuery leaves out the signature itself, where it is a parameter.
func canonicalQuery(u *url.URL, signed bool) string {
	if u.RawQuery == "" {
		return ""
	}
	q, _ := parameters(u.RawQuery) // what cannot be read is refused later
	if signed {
		q.Del("X-Amz-Signature")
	}
	for _, values := range q {
		slices.Sort(values)
	}
	return strings.ReplaceAll(q.Encode(), "+", "%20")
}

// canonicalHeader is a header's values, each with its white space made single.
func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return r.Header.Get("Content-Length") + contentLength(r)
	}
	var values []string
	for _, v := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(values, ",")
}

// contentLength is the length that net/http has taken out of the headers.
func contentLength(r *http.Request) string {
	if r.Header.Get("Content-Length") != "" || r.ContentLength < 0 {
		return ""
	}
	return itoa(r.ContentLength)
}
