// Package systemtest holds the tests of the whole runtime from outside: a
// service, its queue and its operator, by the public API alone and in simulated
// time. A test of one package stands in that package.
package systemtest
