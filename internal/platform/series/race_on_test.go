//go:build race

package series_test

const raceDetector = true
