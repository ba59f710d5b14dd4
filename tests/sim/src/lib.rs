//! The simulated world, under construction: its modules lie beside this file and are declared once they are whole.
