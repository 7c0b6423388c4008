// A lighthouse by the sea. clock runs from 0 to 1: the sun sets, the lamp turns. If Before is 1,
// the screen on the beach shows before.png, the picture of the frame before.
#version 3.7;
#ifndef (Before) #declare Before = 0; #end
global_settings { assumed_gamma 1 }

#declare Evening = clock;
#declare Sky = <0.35, 0.55, 0.95> * (1 - Evening) + <0.10, 0.06, 0.20> * Evening;
#declare Horizon = <0.85, 0.90, 1.00> * (1 - Evening) + <0.95, 0.40, 0.15> * Evening;

camera { location <6 - 4*clock, 2.8, -17> look_at <-0.6, 3.3, 0> right x*16/9 angle 46 }
light_source { <-60, 45 - 40*Evening, -40> color rgb <1.0, 0.95 - 0.4*Evening, 0.9 - 0.7*Evening> * (1 - 0.6*Evening) }
light_source { <20, 30, -30> color rgb 0.18 shadowless }
sky_sphere { pigment { gradient y color_map { [0 rgb Horizon] [0.5 rgb Sky] } } }

plane { y, 0
  pigment { color rgb <0.04, 0.16, 0.24> }
  normal { bumps 0.25 scale <1.6, 1, 0.5> translate <0, clock*4, clock*2> }
  finish { reflection 0.45 specular 0.5 roughness 0.01 }
}
// The island and the beach.
sphere { 0, 1 scale <6, 0.9, 3.5> pigment { color rgb <0.45, 0.40, 0.30> } normal { granite 0.5 scale 0.8 } }

// The tower: five rings, red and white.
#declare Ring = 0;
#while (Ring < 5)
  cone { <0, 0.6 + Ring, 0>, 0.95 - 0.09*Ring, <0, 1.6 + Ring, 0>, 0.86 - 0.09*Ring
    pigment { color rgb #if (mod(Ring, 2) = 0) <0.85, 0.12, 0.10> #else 0.95 #end } finish { specular 0.2 } }
  #declare Ring = Ring + 1;
#end
cylinder { <0, 5.6, 0>, <0, 5.7, 0>, 0.75 pigment { color rgb 0.2 } }
cone { <0, 6.4, 0>, 0.55, <0, 7.0, 0>, 0.05 pigment { color rgb <0.5, 0.08, 0.06> } }
sphere { <0, 6.05, 0>, 0.3 pigment { color rgb <1, 0.95, 0.7> } finish { ambient 1.2 } no_shadow }
light_source { <0, 6.05, 0> color rgb <1, 0.9, 0.6> * (0.3 + 1.6*Evening)
  spotlight point_at <8*cos(2*pi*clock), 5, 8*sin(2*pi*clock)> radius 9 falloff 16 }

// The screen.
#if (Before = 1)
  #declare Picture = texture { pigment { image_map { png "before.png" interpolate 2 } } finish { ambient 0.7 diffuse 0.3 } }
#else
  #declare Picture = texture { pigment { color rgb <0.12, 0.14, 0.16> } }
#end
polygon { 5, <0, 0>, <1, 0>, <1, 1>, <0, 1>, <0, 0> texture { Picture } scale <2.4, 1.35, 1> rotate y*12 translate <-4.4, 0.9, -3.2> }
box { <-0.05, -0.05, 0.01>, <2.45, 1.40, 0.10> pigment { color rgb 0.08 } rotate y*12 translate <-4.4, 0.9, -3.2> }
