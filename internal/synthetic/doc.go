// Package synthetic makes up people who never were: histories of decisions as
// events, for the development command, benchmarks and end-to-end tests. The same
// configuration and the same moments give the same events, byte for byte.
//
// A subject arrives with an agreement, a policy acceptance and a first grant, in
// that order. After that it decides, again and again, in the proportions of
// [Mix]. Every event makes sense where it stands: withdrawn is what was granted,
// refused is a request that is open, erased is nobody under a block. So no event
// is parked, and almost all of them change something; faults are for those to
// add who test them.
//
// The package knows nothing of encoding or Kafka. Production programs have no
// use for it.
package synthetic
