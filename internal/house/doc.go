// Package house holds tests of the checkout itself: the words and the shape of
// the code. It has no code that a program could import.
//
//	go test ./internal/house                          # everything
//	go test ./internal/house -run 'Words/actors/poller'   # one room
//
// A room is the folder of a package; the package at the top is the room "root",
// and a folder that holds both a package and other rooms is called
// "actors/package". Each page in docs/ is a room of its own.
//
// # Words
//
// TestWords looks for the words of a deny list in comments, in string literals,
// in the texts of the page and in the documents. TestColumns looks for lines of
// 120 columns or more. TestNames looks for names that are pictures.
//
// A line that needs a denied word is named in testdata/exceptions/ROOM.txt, with
// the reason; a slash in the room's name is written as a comma. One line is one
// exception:
//
//	file.go | a part of the line | the reason
//
// An exception that no line needs fails the test.
package house
