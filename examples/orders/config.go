package main

import (
	"errors"

	"github.com/sambatech/chassis"
)

// Config is everything that can be set: the chassis' sections and the service's own.
type Config struct {
	chassis.Settings
	Listen   string `rule:"hostport" doc:"address of the API"`
	Database Database
	Payments Payments
	Mail     MailService
	Report   Nightly
}

// Database says where orders are kept.
type Database struct {
	URL string `rule:"nonempty" doc:"a file for SQLite, or postgres://user:password@host/name"`
}

// Payments says who takes the money.
type Payments struct {
	URL string `rule:"optional,url" doc:"the payment gateway; without it this process runs one for a laptop"`
}

// MailService says who delivers mails.
type MailService struct {
	URL string `rule:"optional,url" doc:"the mail service; without it this process runs one for a laptop"`
}

// Nightly says who gets the report. The section schedules has its time.
type Nightly struct {
	To string `rule:"nonempty" live:"true" doc:"address that gets the report"`
}

func defaults() Config {
	c := Config{Settings: chassis.DefaultSettings(), Listen: "127.0.0.1:8080"}
	c.Database.URL = "data/orders.db"
	c.Report.To = "accounts@shop.test"
	return c
}

// Validate is called once all settings are read.
func (c Config) Validate() error {
	if (c.Payments.URL == "") != (c.Mail.URL == "") {
		return errors.New("payments.url and mail.url: set both, or none to run both in this process")
	}
	return nil
}
