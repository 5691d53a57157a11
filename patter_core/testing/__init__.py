"""For tests, of Patter and of whoever builds on it: emulators, emulated callers, real speech."""
