package main

import (
	"fmt"
	"net/mail"
	"time"
)

// Status says how far an order is.
type Status string

// The ways of an order: placed, paid, perhaps cancelled; or placed and declined.
const (
	Placed    Status = "placed"
	Paid      Status = "paid"
	Declined  Status = "declined"  // the gateway refuses the payment
	Cancelled Status = "cancelled" // its money goes back, if any was taken
)

// Order is an order as the store keeps it and the API shows it.
type Order struct {
	ID         string    `json:"id"`
	Status     Status    `json:"status"`
	Customer   string    `json:"customer"`
	Items      []Item    `json:"items"`
	Cents      int64     `json:"cents"`
	PlacedAt   time.Time `json:"placed_at"`
	PaidAt     time.Time `json:"paid_at,omitzero"`
	RefundedAt time.Time `json:"refunded_at,omitzero"`
}

// Item is one line of an order.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"` // for one
}

// Draft is what a customer asks for.
type Draft struct {
	Customer string `json:"customer"`
	Items    []Item `json:"items"`
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Limits of a draft.
const (
	maxItems    = 100
	maxQuantity = 1000
	maxCents    = 100_000_00
)

// Cents is the sum of the draft.
func (d Draft) Cents() (sum int64) {
	for _, item := range d.Items {
		sum += int64(item.Quantity) * item.Cents
	}
	return sum
}

// Check returns everything that is wrong with the draft.
func (d Draft) Check() (wrong []FieldError) {
	add := func(field, format string, args ...any) {
		wrong = append(wrong, FieldError{field, fmt.Sprintf(format, args...)})
	}
	if a, err := mail.ParseAddress(d.Customer); err != nil || a.Address != d.Customer {
		add("customer", "%q is not a mail address like ann@example.org", d.Customer)
	}
	if n := len(d.Items); n < 1 || n > maxItems {
		add("items", "there are %d, want 1 to %d", n, maxItems)
		return wrong
	}
	for i, item := range d.Items {
		field := fmt.Sprintf("items[%d].", i)
		if item.SKU == "" || len(item.SKU) > 64 {
			add(field+"sku", "it has %d characters, want 1 to 64", len(item.SKU))
		}
		if item.Quantity < 1 || item.Quantity > maxQuantity {
			add(field+"quantity", "it is %d, want 1 to %d", item.Quantity, maxQuantity)
		}
		if item.Cents < 1 || item.Cents > maxCents {
			add(field+"cents", "it is %d, want 1 to %d", item.Cents, int64(maxCents))
		}
	}
	return wrong
}
