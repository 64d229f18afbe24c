-- hartonomous @version@
\echo Use "create extension hartonomous cascade" to load this file. \quit
