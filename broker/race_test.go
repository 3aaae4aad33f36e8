//go:build race

package broker_test

// raceDetector says that data races end the tests, mochi's too.
const raceDetector = true
