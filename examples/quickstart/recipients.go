package main

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strconv"
	"strings"
)

//go:embed recipients.csv
var recipientsCSV string

// Recipient is a row of recipients.csv, and the arguments of the task that
// mails it. The address is as it stands in the file: empty and broken ones are
// the task's to find.
type Recipient struct {
	Row      int    `json:"row"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Language string `json:"language"`
}

// readRecipients reads the file; an error names its line.
func readRecipients(r io.Reader) ([]Recipient, error) {
	table := csv.NewReader(r)
	table.FieldsPerRecord = 4
	if _, err := table.Read(); err != nil {
		return nil, fmt.Errorf("recipients: the header: %w", err)
	}
	var all []Recipient
	for {
		fields, err := table.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("recipients: %w", err)
		}
		row, err := strconv.Atoi(fields[0])
		if err != nil || row != len(all)+1 {
			line, _ := table.FieldPos(0)
			return nil, fmt.Errorf("recipients: line %d: the id is %q, expected %d", line, fields[0], len(all)+1)
		}
		name := strings.TrimSpace(fields[1])
		all = append(all, Recipient{Row: row, Name: name, Email: fields[2], Language: fields[3]})
	}
}

// address checks a recipient's address. No retry can help against its errors.
func (r Recipient) address() (string, error) {
	switch email := strings.TrimSpace(r.Email); {
	case email == "":
		return "", errors.New("the address is empty")
	case len(email) > 254: // RFC 5321, 4.5.3.1.3, less the angle brackets
		return "", fmt.Errorf("the address has %d characters, SMTP takes 254", len(email))
	default:
		parsed, err := mail.ParseAddress(email)
		if err != nil || parsed.Address != email {
			return "", fmt.Errorf("not an address: %.60q", email)
		}
		return email, nil
	}
}
